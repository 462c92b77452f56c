package worker_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/worker"
)

func TestEventsOfMessagesAreDelivered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o, other := h.tenant(t), h.tenant(t)
	h.subscribe(t, o, "https://a.example", "email.sent")
	h.subscribe(t, o, "https://b.example", "email.sent", "email.failed")
	h.subscribe(t, o, "https://c.example", "email.failed")
	disabled := h.subscribe(t, o, "https://d.example", "email.sent")
	h.exec(t, "UPDATE webhooks SET enabled = false WHERE id = $1", disabled)
	h.subscribe(t, other, "https://e.example", "email.sent")
	id := h.accept(t, o, 1)[0]
	h.pass(t, 3) // the message, and its event twice
	event := h.events(t, o, id)[0]
	for url, want := range map[string]int{"a": 1, "b": 1, "c": 0, "d": 0, "e": 0} {
		came := e.to("https://" + url + ".example")
		if len(came) != want {
			t.Errorf("%s got %d deliveries, want %d", url, len(came), want)
		}
		for _, one := range came {
			if one.EventID != event.ID || string(one.Keys[0]) != "key of "+one.URL || !strings.Contains(one.Body, `"status" : "Sent"`) {
				t.Errorf("%s got %+v", url, one)
			}
		}
	}
	// An event that is stored already makes no delivery.
	must(t, h.store.Queries().EventInsert(t.Context(), db.EventInsertParams{
		EmailIds: []uuid.UUID{id}, FactKeys: []string{event.FactKey}, Ids: []uuid.UUID{newID(t)}, OrganizationIds: []uuid.UUID{o.id},
		Types: []string{"email.sent"}, Data: [][]byte{[]byte("{}")}, OccurredAt: []time.Time{h.clock.Now()},
	}))
	h.pass(t, 0)
}

// The payload of an event has the status of the message after that event, even when the message is marked later.
func TestEventsSayWhatTheyMean(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	types := []string{"email.sent", "email.delivered", "email.bounced", "email.complained", "email.failed", "email.opened", "email.clicked"}
	h.subscribe(t, o, "https://a.example", types...)
	for _, c := range []struct{ factType, key, before, want string }{
		{"email.bounced", "bounced/1", "2", "Bounced"},
		{"email.bounced", "softBounced/1", "2", "Bounced"},
		{"email.bounced", "softBounced/1", "3", "Delivered"},
		{"email.delivered", "delivered/1", "7", "Delivered"},
		{"email.sent", "sent", "7", "Bounced"},
		{"email.failed", "rejected/1", "2", "Failed"},
		{"email.failed", "failed", "2", "Sent"},
		{"email.failed", "failed", "0", "Failed"},
		{"email.delivered", "delivered/1", "5", "Bounced"},
		{"email.complained", "complained/1", "3", "Complained"},
		{"email.opened", "opened/1", "3", "Delivered"},
		{"email.delivered", "delivered/1", "2", "Delivered"},
		{"email.sent", "sent", "0", "Sent"},
	} {
		id := h.accept(t, o, 1)[0]
		h.exec(t, "DELETE FROM sends")
		h.exec(t, "UPDATE emails SET outcome = $2::text::smallint WHERE id = $1", id, c.before)
		must(t, h.store.Queries().EventInsert(t.Context(), db.EventInsertParams{
			EmailIds: []uuid.UUID{id}, FactKeys: []string{c.key}, Ids: []uuid.UUID{newID(t)}, OrganizationIds: []uuid.UUID{o.id},
			Types: []string{c.factType}, Data: [][]byte{[]byte(`{"reason":"because"}`)}, OccurredAt: []time.Time{h.clock.Now()},
		}))
		h.pass(t, 1)
		came := e.to("https://a.example")
		last := came[len(came)-1].Body
		if !strings.Contains(last, `"status" : "`+c.want+`"`) || !strings.Contains(last, `"errorMessage" : "because"`) {
			t.Errorf("%+v: told %s", c, last)
		}
	}
}

// A message that SES accepted after all has not failed, even when its webhook is written before the message is
// marked.
func TestEventsDoNotTellOfASupersededFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	h.subscribe(t, o, "https://a.example", "email.sent", "email.delivered", "email.opened")
	for _, c := range []struct {
		factType, before string
		told             bool
	}{
		{"email.sent", "1", false},
		{"email.delivered", "1", false},
		{"email.delivered", "5", true},
		{"email.opened", "1", true},
	} {
		id := h.accept(t, o, 1)[0]
		h.exec(t, "DELETE FROM sends")
		h.exec(t, "UPDATE emails SET outcome = $2::text::smallint, error_message = 'because' WHERE id = $1", id, c.before)
		must(t, h.store.Queries().EventInsert(t.Context(), db.EventInsertParams{
			EmailIds: []uuid.UUID{id}, FactKeys: []string{"x"}, Ids: []uuid.UUID{newID(t)}, OrganizationIds: []uuid.UUID{o.id},
			Types: []string{c.factType}, Data: [][]byte{[]byte(`{}`)}, OccurredAt: []time.Time{h.clock.Now()},
		}))
		h.pass(t, 1)
		came := e.to("https://a.example")
		if last := came[len(came)-1].Body; strings.Contains(last, "because") != c.told {
			t.Errorf("%+v: told %s", c, last)
		}
	}
}

func TestDeliveriesAreTriedForADay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	event := h.enqueue(t, o)
	e.set(failing(500, 0))
	for _, wait := range []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
	} {
		h.pass(t, 1)
		if row := h.deliveries(t, o, hook)[0]; row.State != "Pending" || row.LeasedUntil != nil || row.DueAt.Sub(h.clock.Now()) != wait {
			t.Fatalf("it waits %v, want %v: %+v", row.DueAt.Sub(h.clock.Now()), wait, row)
		}
		h.clock.advance(wait - time.Microsecond)
		h.pass(t, 0)
		h.clock.advance(time.Microsecond)
	}
	h.pass(t, 1)
	row := h.deliveries(t, o, hook)[0]
	if row.State != "Failed" || row.DueAt != nil || row.FinishedAt == nil || row.Attempt != 8 {
		t.Errorf("after the last attempt it is %+v", row)
	}
	if !h.webhook(t, o, hook).Enabled {
		t.Error("a day of failures disabled the webhook")
	}
	first := e.to("https://a.example")[0]
	for _, one := range e.to("https://a.example") {
		if one.EventID != event || one.Body != first.Body {
			t.Errorf("an attempt sent %s: %s", one.EventID, one.Body)
		}
	}
	if n := h.count(t, "SELECT count(*) FROM delivery_attempts WHERE delivery_id = $1 AND status_code = 500 AND error <> '' AND response_excerpt = 'no'", row.ID); n != 8 {
		t.Errorf("%d attempts are logged", n)
	}
	// A replay has all of its attempts again.
	_, err := h.store.Queries().DeliveryReplay(t.Context(), db.DeliveryReplayParams{OrganizationID: o.id, WebhookID: hook, ID: row.ID, Now: h.clock.Now()})
	must(t, err)
	h.pass(t, 1)
	if row := h.deliveries(t, o, hook)[0]; row.State != "Pending" || row.DueAt.Sub(h.clock.Now()) != 5*time.Second {
		t.Errorf("after the replay failed it is %+v", row)
	}
}

func TestFiveDaysOfFailuresDisableAWebhook(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	fail := func() {
		h.enqueue(t, o)
		e.set(failing(500, 0))
		if _, err := h.worker.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	fail()
	h.clock.advance(4 * 24 * time.Hour)
	e.set(nil)
	h.pass(t, 1) // one success, and the days count anew
	fail()
	h.clock.advance(5*24*time.Hour - time.Second)
	fail()
	if !h.webhook(t, o, hook).Enabled {
		t.Fatal("disabled too early")
	}
	h.clock.advance(time.Minute)
	fail()
	found := h.webhook(t, o, hook)
	if found.Enabled || found.DisabledReason == nil || !strings.Contains(*found.DisabledReason, "5 days") {
		t.Fatalf("after five days it is %+v", found)
	}
	// A disabled webhook gets no attempts and no new deliveries. Its waiting deliveries go on when it is enabled.
	waiting := len(h.deliveries(t, o, hook))
	h.clock.advance(20 * time.Hour)
	h.enqueue(t, o)
	h.pass(t, 0)
	if n := len(h.deliveries(t, o, hook)); n != waiting {
		t.Errorf("%d deliveries were made for a disabled webhook", n-waiting)
	}
	enabled := true
	_, err := h.store.Queries().WebhookUpdate(t.Context(), db.WebhookUpdateParams{OrganizationID: o.id, ID: hook, Enabled: &enabled, Now: h.clock.Now()})
	must(t, err)
	e.set(nil)
	for h.count(t, "SELECT count(*) FROM deliveries WHERE state = 'Pending'") > 0 {
		if n, err := h.worker.RunOnce(t.Context()); err != nil || n == 0 {
			t.Fatalf("a pass delivered %d: %v", n, err)
		}
	}
	if found := h.webhook(t, o, hook); found.FailingSince != nil || !found.Enabled {
		t.Errorf("with successes again it is %+v", found)
	}
}

func TestEndpointsSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	h.enqueue(t, o)
	e.set(failing(429, 10*time.Minute))
	h.pass(t, 1)
	// No other delivery goes there meanwhile.
	h.enqueue(t, o)
	h.clock.advance(10*time.Minute - time.Microsecond)
	h.pass(t, 0)
	h.clock.advance(time.Microsecond)
	e.set(nil)
	h.pass(t, 1)
	h.pass(t, 1)
	for _, row := range h.deliveries(t, o, hook) {
		if row.State != "Delivered" {
			t.Errorf("%+v", row)
		}
	}
}

func TestTwoDispatchersDeliverOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := &endpoints{}
	o := h.tenant(t)
	urls := []string{"https://a.example", "https://b.example", "https://c.example"}
	for _, url := range urls {
		h.subscribe(t, o, url, "x")
	}
	for range 2 {
		start(t, h.newWorker(t, func(c *worker.Config) { c.WebhookSender, c.Random = e, rand.Float64 }))
	}
	for range 100 {
		h.enqueue(t, o)
	}
	eventually(t, "all are delivered", func() bool { return h.count(t, "SELECT count(*) FROM deliveries WHERE state <> 'Delivered'") == 0 })
	for _, url := range urls {
		seen := map[uuid.UUID]bool{}
		for _, one := range e.to(url) {
			if seen[one.EventID] {
				t.Errorf("%s got %s twice", url, one.EventID)
			}
			seen[one.EventID] = true
		}
		if len(seen) != 100 {
			t.Errorf("%s got %d events", url, len(seen))
		}
	}
}

func TestDeliveryOfADeadProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	event := h.enqueue(t, o)
	now := h.clock.Now()
	claimed, err := h.store.Queries().DeliveryClaim(t.Context(), db.DeliveryClaimParams{
		Lanes: []uuid.UUID{hook}, Floors: []time.Time{now}, LeaseFloors: []time.Time{now},
		Now: now, LeasedUntil: now.Add(time.Minute), QuickRows: 10, OtherRows: 10, FailingRows: 10,
	})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %d: %v", len(claimed), err)
	}
	h.clock.advance(time.Minute - time.Microsecond)
	h.pass(t, 0)
	h.clock.advance(time.Microsecond)
	h.pass(t, 1)
	came := e.to("https://a.example")
	if len(came) != 1 || came[0].EventID != event || came[0].Body != claimed[0].Payload {
		t.Errorf("delivered %+v", came)
	}
	// A late result of the dead process changes nothing.
	if settled, err := h.store.Queries().DeliverySettle(t.Context(), db.DeliverySettleParams{
		Ids: []uuid.UUID{claimed[0].ID}, Attempts: []int32{claimed[0].Attempt}, Attempted: []int32{1}, States: []string{"Failed"},
		DueAt: []time.Time{now}, FinishedAt: []time.Time{now}, At: []time.Time{now}, DurationMs: []int64{1}, StatusCodes: []int32{500},
		ResponseExcerpts: []string{""}, Errors: []string{"no"},
	}); err != nil || len(settled) != 0 {
		t.Errorf("settled %v: %v", settled, err)
	}
	if row := h.deliveries(t, o, hook)[0]; row.State != "Delivered" || row.Attempt != 2 {
		t.Errorf("%+v", row)
	}
}

func TestKeyThatCannotBeReadIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := &endpoints{}
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	h.enqueue(t, o)
	other, err := sealed.NewSealer(strings.NewReader(strings.Repeat("n", 100)), bytes.Repeat([]byte{2}, 32))
	must(t, err)
	h.worker = h.newWorker(t, func(c *worker.Config) { c.WebhookSender, c.Sealer = e, other })
	h.pass(t, 1)
	if row := h.deliveries(t, o, hook)[0]; row.State != "Pending" || row.Attempt != 0 || row.LeasedUntil != nil {
		t.Errorf("%+v", row)
	}
	if len(e.attempts) != 0 || h.webhook(t, o, hook).FailingSince != nil || !strings.Contains(h.log.String(), "signing key") {
		t.Errorf("attempted %d times; the log: %s", len(e.attempts), h.log)
	}
}

func TestDeliveriesAreForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	kept, deleted := h.subscribe(t, o, "https://a.example", "x"), h.subscribe(t, o, "https://b.example", "x")
	h.enqueue(t, o)
	e.set(failing(500, 0))
	h.pass(t, 2)
	if n, err := h.store.Queries().WebhookDelete(t.Context(), db.WebhookDeleteParams{OrganizationID: o.id, ID: deleted}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	h.clock.advance(time.Hour)
	must(t, h.worker.Deliveries.DeleteExpired(t.Context()))
	if got := h.count(t, "SELECT count(*) FROM deliveries"); got != 1 || len(h.deliveries(t, o, kept)) != 1 {
		t.Errorf("%d deliveries are kept", got)
	}
	h.clock.advance(30 * 24 * time.Hour)
	must(t, h.worker.Deliveries.DeleteExpired(t.Context()))
	if got := h.count(t, "SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM delivery_attempts)"); got != 0 {
		t.Errorf("after 30 days %d rows are left", got)
	}
}
