package worker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/notifications"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/worker"
)

// kindsOfEvents are events about a message, of which SES may report any.
func kindsOfEvents() []func(id uuid.UUID) string {
	return []func(uuid.UUID) string{
		sendEvent, rejectEvent, openEvent, clickEvent,
		func(id uuid.UUID) string { return deliveryEvent(id, firstRecipient) },
		func(id uuid.UUID) string { return deliveryEvent(id, secondRecipient) },
		func(id uuid.UUID) string { return bounceEvent(id, firstRecipient, "Permanent", "General", "one") },
		func(id uuid.UUID) string { return bounceEvent(id, secondRecipient, "Transient", "General", "two") },
		func(id uuid.UUID) string { return complaintEvent(id, firstRecipient) },
		func(id uuid.UUID) string { return delayEvent(id, firstRecipient) },
		func(id uuid.UUID) string {
			return strings.ReplaceAll(deliveryEvent(id, firstRecipient), "mailstack-message-id", "other")
		},
	}
}

// TestGroupsLearnWhatSinglesDo: events in groups, in any order and with any repetition, make what they make one by one.
func TestGroupsLearnWhatSinglesDo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	kinds := kindsOfEvents()
	rapid.Check(t, func(r *rapid.T) {
		type report struct{ message, kind int }
		messages := rapid.IntRange(1, 4).Draw(r, "messages")
		reports := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) report {
			return report{rapid.IntRange(0, messages-1).Draw(r, "message"), rapid.IntRange(0, len(kinds)-1).Draw(r, "kind")}
		}), 1, 16).Draw(r, "reports")
		picture := func(learn func(bodies []string)) string {
			o := h.tenant(t)
			h.subscribe(t, o, "https://a.example", "email.sent", "email.delivered", "email.bounced", "email.opened")
			ids := h.accept(t, o, messages)
			h.noSends(t)
			var bodies []string
			for _, id := range ids {
				// An event without our tag is known by SES's id, which comes with the others.
				h.exec(t, "UPDATE emails SET provider_message_id = 'ses-' || id WHERE id = $1", id)
			}
			for _, one := range rapid.Permutation(reports).Draw(r, "order") {
				bodies = append(bodies, kinds[one.kind](ids[one.message]))
			}
			learn(bodies)
			var seen []any
			for _, id := range ids {
				one := h.picture(t, o, id)
				for i := range one.Suppressed { // the reason depends on which event was stored first
					one.Suppressed[i], _, _ = strings.Cut(one.Suppressed[i], " ")
				}
				seen = append(seen, one)
			}
			seen = append(seen, h.count(t, "SELECT count(*) FROM deliveries WHERE organization_id = $1", o.id),
				h.count(t, "SELECT count(*) FROM reputation_facts WHERE organization_id = $1", o.id))
			text, err := json.MarshalIndent(seen, "", " ")
			must(t, err)
			return string(text)
		}
		singly := picture(func(bodies []string) {
			for _, body := range bodies {
				h.notify(t, body)
				h.record(t, 1)
			}
		})
		grouped := picture(func(bodies []string) {
			for group := range slices.Chunk(bodies, rapid.IntRange(1, len(bodies)).Draw(r, "group")) {
				h.notify(t, group...)
				h.record(t, len(group))
			}
		})
		if singly != grouped {
			r.Fatalf("one by one makes\n%s\nin groups\n%s", singly, grouped)
		}
	})
}

// record records one group of events, and requires that it has so many.
func (h *house) record(t testing.TB, want int) {
	t.Helper()
	got, err := h.worker.Events.RunOnce(t.Context())
	must(t, err)
	if got != want {
		t.Fatalf("a group has %d notifications, want %d", got, want)
	}
}

// TestGroupShowsWebhooksTheStatus: the webhook of an event shows the status that the event implies, or a higher one that came
// before, and an event without a status shows the status of its message.
func TestGroupShowsWebhooksTheStatus(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.subscribe(t, o, "https://a.example", "email.sent", "email.delivered", "email.bounced", "email.opened")
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	h.notify(t, openEvent(id), sendEvent(id), bounceEvent(id, firstRecipient, "Permanent", "General", "one"), deliveryEvent(id, secondRecipient))
	h.record(t, 4)
	rows, err := h.store.Pool().Query(t.Context(), "SELECT event_type, payload FROM deliveries")
	must(t, err)
	defer rows.Close()
	seen := map[string]string{}
	for rows.Next() {
		var kind, payload string
		must(t, rows.Scan(&kind, &payload))
		var told struct {
			Data struct{ Status, ErrorMessage string }
		}
		must(t, json.Unmarshal([]byte(payload), &told))
		seen[kind] = told.Data.Status + " " + told.Data.ErrorMessage
	}
	must(t, rows.Err())
	reason := "Bounced The recipient's mail server did not take the message: smtp; 550 one"
	want := map[string]string{"email.sent": "Sent ", "email.delivered": "Delivered ", "email.bounced": reason, "email.opened": reason}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("webhooks show %v, want %v", seen, want)
	}
}

// TestOneRefusedAmongMany: of 256 notifications Postgres refuses one, which waits alone.
func TestOneRefusedAmongMany(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 255)
	h.noSends(t)
	h.exec(t, "ALTER TABLE events ADD CONSTRAINT no_opens CHECK (type <> 'email.opened')")
	var bodies []string
	for _, id := range ids {
		bodies = append(bodies, deliveryEvent(id, secondRecipient))
	}
	h.notify(t, slices.Insert(bodies, 100, openEvent(ids[7]))...)
	h.record(t, 256)
	if n := h.count(t, "SELECT count(*) FROM emails WHERE outcome = $1", int16(mail.OutcomeDelivered)); n != 255 {
		t.Errorf("%d messages are delivered", n)
	}
	if n := h.count(t, "SELECT count(*) FROM notifications WHERE due_at > $1 AND attempt = 1", h.clock.Now()); n != 1 {
		t.Errorf("%d notifications wait", n)
	}
	if n := h.count(t, "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL"); n != 1 {
		t.Errorf("%d notifications are due", n)
	}
	h.record(t, 0)
}

// TestEarlyEventsHoldUpNone: events of messages that do not exist yet are put back together, and the next is behind them.
func TestEarlyEventsHoldUpNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	for range 300 {
		h.notify(t, sendEvent(newID(t)))
	}
	h.notify(t, deliveryEvent(id, firstRecipient))
	h.record(t, 256)
	h.record(t, 45)
	if outcome := mail.Outcome(h.email(t, o, id).Outcome); outcome != mail.OutcomeDelivered {
		t.Errorf("the message is %s", outcome.Status())
	}
	if n := h.count(t, "SELECT count(*) FROM notifications WHERE due_at > $1 AND attempt = 1", h.clock.Now()); n != 300 {
		t.Errorf("%d notifications wait", n)
	}
}

// TestThousandsOfEventsOfOneMessage: a message that is opened, deferred and bounced thousands of times.
func TestThousandsOfEventsOfOneMessage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	const each = 1000
	for i := range each {
		at := fmt.Sprintf("2026-03-02T%02d:%02d:%02dZ", i/3600, i/60%60, i%60)
		h.notify(t, strings.ReplaceAll(openEvent(id), "2026-03-01T13:00:00Z", at), strings.ReplaceAll(delayEvent(id, firstRecipient), "2026-03-01T12:00:01Z", at),
			bounceEvent(id, secondRecipient, "Transient", "General", fmt.Sprintf("soft %04d", i)))
	}
	h.notify(t, complaintEvent(id, firstRecipient))
	other := h.newWorker(t)
	var both sync.WaitGroup
	for _, one := range []*worker.Worker{h.worker, other} {
		both.Go(func() {
			for {
				if n, err := one.Events.RunOnce(t.Context()); err != nil || n == 0 {
					return
				}
			}
		})
	}
	both.Wait()
	h.learnAll(t)
	email := h.email(t, o, id)
	if mail.Outcome(email.Outcome) != mail.OutcomeComplained || email.ErrorMessage == nil || !strings.HasSuffix(*email.ErrorMessage, "unwanted: abuse") {
		t.Errorf("the message is %+v", email)
	}
	if n := h.count(t, "SELECT count(*) FROM events WHERE email_id = $1", id); n != 3*each+1 {
		t.Errorf("%d events are stored", n)
	}
}

// TestRecordersAndSenderNeverDeadlock: two processes record the events of the same messages, many at once and in any order,
// while a worker marks the messages as sent. Waiting for a deadlock to be found would make all of them slow.
func TestRecordersAndSenderNeverDeadlock(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	open := func() *store.Store {
		s, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 8, Name: "test"})
		must(t, err)
		return s
	}
	working := open()
	h := newHouseOn(t, working)
	workers := []*worker.Worker{h.worker, h.newWorker(t), h.newWorker(t)}
	random := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		o := h.tenant(t)
		ids := h.accept(t, o, 100)
		var bodies []string
		for _, id := range ids {
			h.exec(t, "UPDATE emails SET provider_message_id = NULL WHERE id = $1", id)
			for _, kind := range kindsOfEvents()[:10] {
				bodies = append(bodies, kind(id))
			}
		}
		random.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
		for group := range slices.Chunk(bodies, 250) {
			h.notify(t, group...)
		}
		var all sync.WaitGroup
		untilDone := func(once func(context.Context) (int, error)) {
			all.Go(func() {
				for {
					if n, err := once(t.Context()); err != nil || n == 0 {
						if err != nil {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		untilDone(workers[0].Sending.RunOnce)
		untilDone(workers[1].Sending.RunOnce)
		for _, one := range workers {
			untilDone(one.Events.RunOnce)
		}
		all.Wait()
	}
	// A connection reports what it counted when it ends.
	working.Close()
	watching := open()
	defer watching.Close()
	var deadlocks, due int
	must(t, watching.Pool().QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks))
	must(t, watching.Pool().QueryRow(t.Context(), "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL").Scan(&due))
	if deadlocks != 0 || due != 0 {
		t.Errorf("%d deadlocks, %d notifications are left", deadlocks, due)
	}
}

// TestRecordedEventsWakeDeliveries: recording events wakes the workers that post them, which would not look for an hour.
func TestRecordedEventsWakeDeliveries(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.subscribe(t, o, "https://a.example", "email.delivered")
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	e := &endpoints{}
	start(t, h.newWorker(t, func(c *worker.Config) {
		c.Now = time.Now
		c.WebhookSender, c.PollInterval = e, time.Hour
	}))
	h.notify(t, deliveryEvent(id, firstRecipient))
	eventually(t, "it is delivered", func() bool { return len(e.to("https://a.example")) == 1 })
}

// TestDeathBeforeTheAnswerChangesNothing: a process stores a group of notifications and dies before it answers. SNS posts all
// of them again, also when they are recorded already, and nothing changes.
func TestDeathBeforeTheAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	var posted []notifications.Notification
	for i, kind := range kindsOfEvents() {
		posted = append(posted, notifications.Notification{ID: fmt.Sprint("sns-", i), Body: kind(id)})
	}
	post := func() { must(t, notifications.NewInserter(h.store, h.clock.Now).Insert(t.Context(), posted...)) }
	post()
	post()
	h.record(t, len(posted))
	before := h.picture(t, o, id)
	h.exec(t, "DELETE FROM suppressions WHERE organization_id = $1", o.id)
	post()
	h.record(t, 0)
	before.Suppressed = nil
	if after := h.picture(t, o, id); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("it looked like %+v and now like %+v", before, after)
	}
}
