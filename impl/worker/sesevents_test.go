package worker_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/worker"
)

func TestEventsMakeFacts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	both := func(id uuid.UUID, make func(uuid.UUID, string) string) []string {
		return []string{make(id, firstRecipient), make(id, secondRecipient)}
	}
	permanent := func(id uuid.UUID) string { return bounceEvent(id, firstRecipient, "Permanent", "General", "one") }
	for name, test := range map[string]struct {
		events     func(id uuid.UUID) []string
		status     string
		reason     string
		recipients []string
		types      []string
		suppressed []string
	}{
		"sent":       {func(id uuid.UUID) []string { return []string{sendEvent(id)} }, "Sent", "", []string{"Sent", "Sent"}, []string{"email.sent"}, nil},
		"delivered":  {func(id uuid.UUID) []string { return both(id, deliveryEvent) }, "Delivered", "", []string{"Delivered", "Delivered"}, []string{"email.delivered", "email.delivered"}, nil},
		"other case": {func(id uuid.UUID) []string { return []string{deliveryEvent(id, "TO.0@RCPT.example")} }, "Delivered", "", []string{"Delivered", "Queued"}, []string{"email.delivered"}, nil},
		"bounced":    {func(id uuid.UUID) []string { return []string{permanent(id)} }, "Bounced", "The recipient's mail server did not take the message: smtp; 550 one", []string{"Bounced", "Queued"}, []string{"email.bounced"}, []string{"to.0@rcpt.example Bounce"}},
		"transient": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, firstRecipient, "Transient", "MailboxFull", "one")}
		}, "Bounced", "The recipient's mail server did not take the message: smtp; 550 one", []string{"Bounced", "Queued"}, []string{"email.bounced"}, nil},
		"perhaps an automatic reply": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, firstRecipient, "Transient", "General", "one")}
		}, "Bounced", "The recipient's mail server did not take the message: smtp; 550 one", []string{"Bounced", "Queued"}, []string{"email.bounced"}, nil},
		"an automatic reply": {func(id uuid.UUID) []string {
			return []string{deliveryEvent(id, firstRecipient), bounceEvent(id, firstRecipient, "Transient", "General", "one")}
		}, "Delivered", "", []string{"Delivered", "Queued"}, []string{"email.bounced", "email.delivered"}, nil},
		"an automatic reply, learned first": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, firstRecipient, "Transient", "General", "one"), sendEvent(id), deliveryEvent(id, firstRecipient)}
		}, "Delivered", "", []string{"Delivered", "Sent"}, []string{"email.bounced", "email.delivered", "email.sent"}, nil},
		"a bounce after an automatic reply": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, firstRecipient, "Transient", "General", "one"), bounceEvent(id, firstRecipient, "Transient", "MailboxFull", "two")}
		}, "Bounced", "The recipient's mail server did not take the message: smtp; 550 two", []string{"Bounced", "Queued"}, []string{"email.bounced", "email.bounced"}, nil},
		"unclear": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, firstRecipient, "Undetermined", "Undetermined", "one")}
		}, "Bounced", "The recipient's mail server did not take the message: smtp; 550 one", []string{"Bounced", "Queued"}, []string{"email.bounced"}, nil},
		"on the list": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, firstRecipient, "Permanent", "OnAccountSuppressionList", "one")}
		}, "Bounced", "Amazon SES did not try to deliver the message: the address is on a suppression list of SES (OnAccountSuppressionList).", []string{"Bounced", "Queued"}, []string{"email.bounced"}, nil},
		"suppressed": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, firstRecipient, "Permanent", "Suppressed", "one")}
		}, "Bounced", "Amazon SES did not try to deliver the message: the address is on a suppression list of SES (Suppressed).", []string{"Bounced", "Queued"}, []string{"email.bounced"}, nil},
		"unknown one": {func(id uuid.UUID) []string {
			return []string{bounceEvent(id, "other@rcpt.example", "Permanent", "General", "one")}
		}, "Bounced", "The recipient's mail server did not take the message: smtp; 550 one", []string{"Queued", "Queued"}, []string{"email.bounced"}, nil},
		"complaint": {func(id uuid.UUID) []string { return []string{complaintEvent(id, secondRecipient)} }, "Complained", "The recipient reported the message as unwanted: abuse", []string{"Queued", "Complained"}, []string{"email.complained"}, []string{"hidden@rcpt.example Complaint"}},
		"not spam": {func(id uuid.UUID) []string {
			return []string{event(id, "Complaint", "complaint", fmt.Sprintf(`{"feedbackId":"c","timestamp":"2026-03-01T12:00:03Z","complaintFeedbackType":"not-spam","complainedRecipients":[{"emailAddress":%q}]}`, firstRecipient))}
		}, "Queued", "", []string{"Queued", "Queued"}, nil, nil},
		"complaint of one of two": {func(id uuid.UUID) []string {
			return []string{event(id, "Complaint", "complaint", fmt.Sprintf(`{"feedbackId":"c","timestamp":"2026-03-01T12:00:03Z","complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":%q},{"emailAddress":%q}]}`, firstRecipient, secondRecipient))}
		}, "Complained", "The recipient reported the message as unwanted: abuse", []string{"Queued", "Queued"}, []string{"email.complained"}, nil},
		"rejected": {func(id uuid.UUID) []string { return []string{rejectEvent(id)} }, "Failed", "Amazon SES refused the message: Bad content", []string{"Failed", "Failed"}, []string{"email.failed"}, nil},
		"rendering": {func(id uuid.UUID) []string {
			return []string{event(id, "Rendering Failure", "failure", `{"errorMessage":"no name"}`)}
		}, "Failed", "Amazon SES could not render the message: no name", []string{"Failed", "Failed"}, []string{"email.failed"}, nil},
		"no status": {func(id uuid.UUID) []string {
			return []string{delayEvent(id, firstRecipient), openEvent(id), clickEvent(id)}
		}, "Queued", "", []string{"Queued", "Queued"}, []string{"email.clicked", "email.delayed", "email.opened"}, nil},
		"ignored": {func(id uuid.UUID) []string { return []string{event(id, "Subscription", "subscription", "{}")} }, "Queued", "", []string{"Queued", "Queued"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			o := h.tenant(t)
			id := h.accept(t, o, 1)[0]
			h.noSends(t)
			bodies := test.events(id)
			h.notify(t, bodies...)
			h.pass(t, len(bodies))
			email := h.email(t, o, id)
			if got := mail.Outcome(email.Outcome).Status(); got != test.status {
				t.Errorf("the message is %s, want %s", got, test.status)
			}
			if reason := email.ErrorMessage; (reason == nil) != (test.reason == "") || reason != nil && *reason != test.reason {
				t.Errorf("the reason is %+v, want %q", reason, test.reason)
			}
			if known := email.ProviderMessageID != nil && email.SentAt != nil; known != (test.status != "Queued") {
				t.Errorf("the message is stored as %+v", email)
			}
			seen := h.picture(t, o, id)
			if !slices.Equal(seen.Recipients, test.recipients) || !slices.Equal(seen.Suppressed, test.suppressed) {
				t.Errorf("it looks like %+v", seen)
			}
			var types []string
			for _, one := range h.events(t, o, id) {
				types = append(types, one.Type)
			}
			slices.Sort(types)
			if !slices.Equal(types, test.types) {
				t.Errorf("the events are %v, want %v", types, test.types)
			}
		})
	}
}

// What is shown of a message depends only on the set of its events: neither order nor repetition matters.
func TestStatusFollowsFromTheSetOfFacts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	all := []func(uuid.UUID) string{
		sendEvent, rejectEvent, openEvent, clickEvent,
		func(id uuid.UUID) string { return deliveryEvent(id, firstRecipient) },
		func(id uuid.UUID) string { return deliveryEvent(id, secondRecipient) },
		func(id uuid.UUID) string { return bounceEvent(id, firstRecipient, "Permanent", "General", "one") },
		func(id uuid.UUID) string { return bounceEvent(id, secondRecipient, "Transient", "General", "two") },
		func(id uuid.UUID) string {
			return bounceEvent(id, secondRecipient, "Permanent", "OnAccountSuppressionList", "three")
		},
		func(id uuid.UUID) string { return complaintEvent(id, firstRecipient) },
		func(id uuid.UUID) string { return complaintEvent(id, secondRecipient) },
		func(id uuid.UUID) string { return delayEvent(id, firstRecipient) },
	}
	rapid.Check(t, func(r *rapid.T) {
		chosen := rapid.SliceOfNDistinct(rapid.IntRange(0, len(all)-1), 1, 6, rapid.ID[int]).Draw(r, "facts")
		var pictures []picture
		for range 2 {
			o := h.tenant(t)
			id := h.accept(t, o, 1)[0]
			h.noSends(t)
			repeated := append(slices.Clone(chosen), rapid.SliceOfN(rapid.SampledFrom(chosen), 0, 4).Draw(r, "repeated")...)
			for _, i := range rapid.Permutation(repeated).Draw(r, "order") {
				h.notify(t, all[i](id))
				h.pass(t, 1)
			}
			seen := h.picture(t, o, id)
			for i := range seen.Suppressed { // the reason depends on which event was stored first
				seen.Suppressed[i], _, _ = strings.Cut(seen.Suppressed[i], " ")
			}
			pictures = append(pictures, seen)
		}
		first, err := json.MarshalIndent(pictures[0], "", " ")
		must(t, err)
		second, err := json.MarshalIndent(pictures[1], "", " ")
		must(t, err)
		if string(first) != string(second) {
			r.Fatalf("one order makes\n%s\nanother\n%s", first, second)
		}
		highest := mail.OutcomeQueued
		for _, i := range chosen {
			highest = mail.Higher(highest, []mail.Outcome{2, 4, 0, 0, 3, 3, 5, 7, 5, 6, 6, 0}[i])
		}
		if !strings.HasPrefix(pictures[0].Email, highest.Status()+",") {
			r.Fatalf("the message is %q, want %s", pictures[0].Email, highest.Status())
		}
	})
}

// Two processes get every event twice, in different orders, and at the same time.
func TestTwoProcessesLearnTheSame(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 40)
	h.noSends(t)
	var bodies []string
	for i, id := range ids {
		h.exec(t, "UPDATE recipients SET address_key = $2, address = $2 WHERE email_id = $1 AND position = 0", id, strings.ToLower(firstRecipient))
		bodies = append(bodies, sendEvent(id), deliveryEvent(id, firstRecipient), deliveryEvent(id, secondRecipient))
		if i%2 == 0 {
			bodies = append(bodies, bounceEvent(id, firstRecipient, "Permanent", "General", "one"), complaintEvent(id, secondRecipient))
		}
	}
	bodies = append(bodies, bodies...)
	rand.Shuffle(len(bodies), func(i, j int) { bodies[i], bodies[j] = bodies[j], bodies[i] })
	h.notify(t, bodies...)
	other := h.newWorker(t)
	var both sync.WaitGroup
	for _, d := range []*worker.Worker{h.worker, other} {
		both.Go(func() {
			for {
				if n, err := d.RunOnce(t.Context()); err != nil || n == 0 {
					return
				}
			}
		})
	}
	both.Wait()
	if left := h.count(t, "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL"); left != 0 {
		t.Errorf("%d notifications are left", left)
	}
	for i, id := range ids {
		want := picture{
			Email: "Delivered, -, ses-ID, sent true", Recipients: []string{"Delivered", "Delivered"},
		}
		facts := 3
		if i%2 == 0 {
			want.Email, want.Recipients = "Complained, The recipient reported the message as unwanted: abuse, ses-ID, sent true", []string{"Bounced", "Complained"}
			facts = 5
		}
		seen := h.picture(t, o, id)
		if seen.Email != want.Email || !slices.Equal(seen.Recipients, want.Recipients) || len(seen.Events) != facts {
			t.Errorf("message %d looks like %+v", i, seen)
		}
	}
	if n := h.count(t, "SELECT count(*) FROM suppressions WHERE organization_id = $1", o.id); n != 2 {
		t.Errorf("%d addresses are suppressed", n)
	}
}

// Two processes handle the same notification at once, since its lease expired under the first.
func TestSameEventAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	for range 20 {
		h.notify(t, bounceEvent(id, firstRecipient, "Permanent", "General", "one"))
	}
	h.learnAll(t)
	if seen := h.picture(t, o, id); len(seen.Events) != 1 || len(seen.Suppressed) != 1 {
		t.Errorf("it looks like %+v", seen)
	}
	// A notification whose lease expired is taken over.
	h.notify(t, sendEvent(id))
	h.exec(t, "UPDATE notifications SET attempt = 1, leased_until = due_at WHERE due_at IS NOT NULL")
	h.pass(t, 1)
	if seen := h.picture(t, o, id); len(seen.Events) != 2 {
		t.Errorf("it looks like %+v", seen)
	}
}

// An address that a user removed from the suppression list stays off it when old events arrive again.
func TestRepetitionSuppressesNobodyAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	bounce := bounceEvent(id, firstRecipient, "Permanent", "General", "one")
	h.notify(t, bounce)
	h.pass(t, 1)
	h.exec(t, "DELETE FROM suppressions WHERE organization_id = $1", o.id)
	h.notify(t, bounce)
	h.pass(t, 1)
	if n := h.count(t, "SELECT count(*) FROM suppressions"); n != 0 {
		t.Error("it is suppressed again")
	}
}

// Storing a notification wakes a running worker.
func TestReportedEventWakes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	start(t, h.newWorker(t))
	eventually(t, "the message is sent", h.idle(t))
	h.notify(t, deliveryEvent(id, firstRecipient))
	eventually(t, "it is delivered", func() bool { return h.email(t, o, id).Outcome == int16(mail.OutcomeDelivered) })
}
