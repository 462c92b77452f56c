package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/worker"
)

// connected returns a house where an event of SES has arrived just now. Workers find that out by themselves.
func connected(t *testing.T) (*house, tenant) {
	t.Helper()
	h := newHouse(t)
	o := h.tenant(t)
	earlier := h.accept(t, o, 1)[0]
	h.pass(t, 1)
	h.notify(t, sendEvent(earlier))
	h.learnAll(t)
	h.clock.advance(time.Second) // the cached "no events arrive" expires
	return h, o
}

func TestEventsOfEveryKindSettleAnAmbiguousAttempt(t *testing.T) {
	t.Parallel()
	for name, report := range map[string]func(id uuid.UUID) string{
		"send":      sendEvent,
		"delivery":  func(id uuid.UUID) string { return deliveryEvent(id, firstRecipient) },
		"reject":    rejectEvent,
		"bounce":    func(id uuid.UUID) string { return bounceEvent(id, firstRecipient, "Transient", "General", "one") },
		"complaint": func(id uuid.UUID) string { return complaintEvent(id, firstRecipient) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, o := connected(t)
			id := h.accept(t, o, 1)[0]
			h.ses.SetFaults(sessim.Faults{DropAnswer: 1})
			h.pass(t, 1)
			if row := h.waiting(t, o, id); row.AmbiguousAttempts != 1 || row.DueAt.Sub(h.clock.Now()) != time.Minute {
				t.Fatalf("it does not wait for the event: %+v", *row)
			}
			h.clock.advance(time.Minute - time.Microsecond)
			h.pass(t, 0)
			h.notify(t, report(id))
			h.pass(t, 1)
			if h.row(t, id) != nil || h.email(t, o, id).Outcome <= int16(mail.OutcomeSendFailed) {
				t.Fatal("the event did not settle it")
			}
			h.clock.advance(time.Hour)
			h.pass(t, 0)
			if n := h.ses.Stats().Accepted; n != 2 {
				t.Errorf("SES got %d messages, want this one and the one before", n)
			}
		})
	}
}

func TestAMissingEventIsWaitedForNoLongerThanAMinute(t *testing.T) {
	t.Parallel()
	h, o := connected(t)
	id := h.accept(t, o, 1)[0]
	h.ses.SetFaults(sessim.Faults{DropRequest: 1})
	h.pass(t, 1)
	h.clock.advance(time.Minute - time.Microsecond)
	h.pass(t, 0)
	h.clock.advance(time.Microsecond)
	h.pass(t, 1)
	h.requireSent(t, o, id)
}

func TestAnOrganizationThatIsResumedStillWaitsForItsEvents(t *testing.T) {
	t.Parallel()
	h, o := connected(t)
	id := h.accept(t, o, 1)[0]
	h.ses.SetFaults(sessim.Faults{DropAnswer: 1})
	h.pass(t, 1)
	organizations := organization.Organizations{Store: h.store, Now: h.clock.Now}
	must(t, organizations.Suspend(t.Context(), o.id))
	must(t, organizations.Resume(t.Context(), o.id))
	if wait := h.waiting(t, o, id).DueAt.Sub(h.clock.Now()); wait != time.Minute {
		t.Errorf("it waits %s", wait)
	}
}

func TestEventsThatNeverArriveAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	h, o := connected(t)
	h.clock.advance(24 * time.Hour)
	id := h.accept(t, o, 1)[0]
	h.ses.SetFaults(sessim.Faults{DropAnswer: 1})
	h.pass(t, 1)
	if wait := h.waiting(t, o, id).DueAt.Sub(h.clock.Now()); wait != time.Second {
		t.Errorf("it waits %s for events that have stopped", wait)
	}
	h.clock.advance(time.Second)
	h.pass(t, 1)
	h.requireSent(t, o, id)
}

func TestAbandonedAttemptsWaitForTheirEvents(t *testing.T) {
	t.Parallel()
	for name, reported := range map[string]bool{"that come": true, "that do not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, o := connected(t)
			ids := h.accept(t, o, 2)
			h.abandon(t)
			h.clock.advance(time.Minute)
			h.pass(t, 0) // defers them
			for _, id := range ids {
				if row := h.waiting(t, o, id); row.AmbiguousAttempts != 1 || row.Attempt != 1 || row.DueAt.Sub(h.clock.Now()) != 30*time.Second {
					t.Fatalf("it was not put off once: %+v", *row)
				}
			}
			h.clock.advance(30*time.Second - time.Microsecond)
			h.pass(t, 0)
			if reported {
				h.notify(t, sendEvent(ids[0]), sendEvent(ids[1]))
				h.pass(t, 2)
				h.clock.advance(time.Hour)
				h.pass(t, 0)
				for _, id := range ids {
					h.requireLearned(t, o, id)
				}
				return
			}
			h.clock.advance(time.Microsecond)
			h.pass(t, 2)
			for _, id := range ids {
				h.requireSent(t, o, id)
			}
		})
	}
}

// An event that arrives while the next attempt is in flight ends the work. Whatever the result of that attempt,
// the message stays sent.
func TestEventDuringTheNextAttempt(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{
		"taken":     nil,
		"refused":   &ses.Error{Class: ses.Rejected, Detail: "no"},
		"ambiguous": &ses.Error{Class: ses.Ambiguous},
		"throttled": &ses.Error{Class: ses.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, o := connected(t)
			id := h.accept(t, o, 1)[0]
			asked, proceed := make(chan struct{}), make(chan struct{})
			slow := h.newWorker(t, func(c *worker.Config) {
				c.SES = sender(func(context.Context, ses.Message) (string, error) {
					close(asked)
					<-proceed
					return "ses-" + id.String(), answer
				})
			})
			ended := make(chan error, 1)
			go func() {
				_, err := slow.RunOnce(context.WithoutCancel(t.Context()))
				ended <- err
			}()
			<-asked
			h.notify(t, sendEvent(id))
			h.pass(t, 1)
			close(proceed)
			must(t, <-ended)
			h.requireLearned(t, o, id)
			if h.row(t, id) != nil || len(h.events(t, o, id)) != 1 {
				t.Errorf("the row is %+v, with %d events", h.row(t, id), len(h.events(t, o, id)))
			}
			h.clock.advance(time.Hour)
			h.pass(t, 0)
		})
	}
}
