package worker_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/sending"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/worker"
)

const (
	reasonDomain     = "The sending domain was deleted or is no longer verified."
	reasonSuppressed = "Recipient is suppressed."
	reasonExpired    = "The message could not be sent within 72 hours."
)

func TestSendsWhatWasAccepted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.pass(t, 1)
	h.requireSent(t, o, id)
	got := h.ses.Messages()
	if len(got) != 1 {
		t.Fatalf("SES has %d messages", len(got))
	}
	m := got[0]
	if m.MessageID != id.String() || m.ProviderID != *h.email(t, o, id).ProviderMessageID {
		t.Errorf("ids do not match: %+v", m)
	}
	if len(m.To) != 1 || !strings.HasSuffix(m.To[0], " <To.0@rcpt.example>") || len(m.Cc) != 0 || len(m.Bcc) != 1 || m.Bcc[0] != "hidden@rcpt.example" {
		t.Errorf("the recipients are %q, %q, %q", m.To, m.Cc, m.Bcc)
	}
	if len(m.ReplyTo) != 2 || m.ReplyTo[0] != `"Help; us" <help@rcpt.example>` || m.ReplyTo[1] != "second@rcpt.example" {
		t.Errorf("replies go to %q", m.ReplyTo)
	}
	if m.Subject != "A subject" || m.HTML != "<p>Hello</p>" || m.Text != "Hello" || !strings.HasSuffix(m.From, " <hello@"+o.domain+">") {
		t.Errorf("SES got %+v", m)
	}
	if data := string(h.events(t, o, id)[0].Data); data != `{"providerMessageId": "`+m.ProviderID+`"}` {
		t.Errorf("the event holds %s", data)
	}
	h.pass(t, 0)
}

func TestThrottlingIsNeverAFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.ses.SetFaults(sessim.Faults{Throttle: -1})
	last := time.Duration(0)
	for attempt := int32(1); attempt <= 8; attempt++ {
		h.pass(t, 1)
		row := h.waiting(t, o, id)
		wait := row.DueAt.Sub(h.clock.Now())
		if row.Attempt != attempt || row.AmbiguousAttempts != 0 || wait < last || wait > 30*time.Second {
			t.Fatalf("after %d attempts it waits %s: %+v", attempt, wait, *row)
		}
		last = wait
		h.clock.advance(30 * time.Second)
	}
	h.ses.ClearFaults()
	h.pass(t, 1)
	h.requireSent(t, o, id)
}

func TestThrottlingPausesTheProcess(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.accept(t, o, 1)
	h.ses.SetFaults(sessim.Faults{Throttle: 1})
	h.pass(t, 1)
	second := h.accept(t, o, 1)[0]
	h.pass(t, 0)
	h.clock.advance(100 * time.Millisecond)
	h.pass(t, 1)
	h.requireSent(t, o, second)
}

func TestAnAccountThatMayNotSendWaits(t *testing.T) {
	t.Parallel()
	no, day := false, 1.0
	for name, change := range map[string]sessim.AccountChange{
		"paused": {SendingEnabled: &no},
		"quota":  {Max24Hour: &day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			o := h.tenant(t)
			h.accept(t, o, 1)
			h.pass(t, 1) // uses up the quota
			must(t, h.ses.SetAccount(change))
			ids := h.accept(t, o, 3)
			h.pass(t, 3)
			for _, id := range ids {
				if wait := h.waiting(t, o, id).DueAt.Sub(h.clock.Now()); wait < 30*time.Second || wait > 5*time.Minute {
					t.Errorf("it waits %s", wait)
				}
			}
			if n := strings.Count(h.log.String(), "level=ERROR"); n != 1 {
				t.Errorf("three refusals of the account in one minute are %d errors in the log", n)
			}
			late := h.accept(t, o, 1)[0]
			h.pass(t, 0) // the process pauses its claims
			yes, unlimited := true, -1.0
			must(t, h.ses.SetAccount(sessim.AccountChange{SendingEnabled: &yes, Max24Hour: &unlimited}))
			h.clock.advance(5 * time.Minute)
			h.pass(t, 4)
			for _, id := range append(ids, late) {
				h.requireSent(t, o, id)
			}
		})
	}
}

func TestUnclearAnswersAreAmbiguousAndRetried(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]sessim.Faults{
		"5xx":            {Status5xx: 2},
		"dropped answer": {DropAnswer: 2},
		"cut":            {DropRequest: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			o := h.tenant(t)
			id := h.accept(t, o, 1)[0]
			h.ses.SetFaults(faults)
			for _, wait := range []time.Duration{time.Second, 2 * time.Second} {
				h.pass(t, 1)
				row := h.waiting(t, o, id)
				if row.AmbiguousAttempts != row.Attempt || row.DueAt.Sub(h.clock.Now()) != wait {
					t.Fatalf("it is not marked ambiguous and postponed by %s: %+v", wait, *row)
				}
				h.clock.advance(wait)
			}
			h.pass(t, 1)
			h.requireSent(t, o, id)
			if data := string(h.events(t, o, id)[0].Data); !strings.Contains(data, `"ambiguousAttempts": 2`) {
				t.Errorf("the event holds %s", data)
			}
		})
	}
}

func TestAnEventEndsTheRetriesOfAnAmbiguousMessage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.ses.SetFaults(sessim.Faults{DropAnswer: 1})
	h.pass(t, 1)
	h.exec(t, "UPDATE emails SET outcome = 3 WHERE id = $1", id) // delivered
	h.clock.advance(time.Minute)
	h.pass(t, 1)
	if h.row(t, id) != nil || h.email(t, o, id).Outcome != 3 || h.ses.Stats().Accepted != 1 {
		t.Error("a message that was delivered is sent again")
	}
}

func TestSESDownThenBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	working := h.worker
	h.worker = h.newWorker(t, func(c *worker.Config) { c.SES = newClient(t, "http://127.0.0.1:1") })
	h.pass(t, 1)
	if row := h.waiting(t, o, id); row.AmbiguousAttempts != 0 {
		t.Fatalf("an attempt without a connection is ambiguous: %+v", *row)
	}
	h.clock.advance(time.Second)
	h.worker = working
	h.pass(t, 1)
	h.requireSent(t, o, id)
}

func TestRejectedFails(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.exec(t, "UPDATE recipients SET address = 'nobody' WHERE email_id = $1 AND kind = 'to'", id)
	h.pass(t, 1)
	h.requireFailed(t, o, id, "Missing final '@domain'")
	if data := string(h.events(t, o, id)[0].Data); data != `{"code": "rejected", "reason": "Missing final '@domain'"}` {
		t.Errorf("the event holds %s", data)
	}
}

func TestUnknownDomainIsCheckedAndWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	must(t, h.client.DeleteIdentity(t.Context(), o.domain))
	ids := h.accept(t, o, 2)
	if _, err := h.worker.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		h.waiting(t, o, id)
	}
	if got := h.domains.checked; len(got) != 1 || got[0] != o.domainID {
		t.Fatalf("checked %v, want %v once", got, o.domainID)
	}
	h.exec(t, "UPDATE domains SET status = 'Failed' WHERE id = $1", o.domainID)
	h.clock.advance(5 * time.Minute)
	h.pass(t, 2)
	for _, id := range ids {
		h.requireFailed(t, o, id, reasonDomain)
	}
}

// A domain that SES refuses costs nothing of the rate after a few refusals, and its mail waits for the check of the domain.
func TestRefusedDomainIsParked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	refused, other := h.tenant(t), h.tenant(t)
	must(t, h.client.DeleteIdentity(t.Context(), refused.domain))
	h.accept(t, refused, 20)
	counted := &counting{Provider: h.client}
	h.worker = h.newWorker(t, func(c *worker.Config) { c.SES, c.FetchQuota, c.SendConcurrency = counted, nil, 1 })
	for range 8 {
		if _, err := h.worker.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := counted.calls.Load(); n != 3 {
		t.Fatalf("SES was asked %d times, want 3", n)
	}
	for range 30 {
		if _, err := h.worker.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.clock.advance(5 * time.Minute)
	}
	if n := counted.calls.Load(); n != 3 {
		t.Errorf("a parked domain was tried %d times", n-3)
	}
	if !strings.Contains(h.log.String(), "SES refuses to send for a verified domain") {
		t.Error("nothing is logged")
	}
	id := h.accept(t, other, 1)[0]
	eventually(t, "another's mail is sent", func() bool {
		_, err := h.worker.RunOnce(t.Context())
		must(t, err)
		return h.count(t, "SELECT count(*) FROM sends WHERE email_id = $1", id) == 0
	})
	// What a check does that finds the domain in order.
	if _, _, err := h.client.CreateIdentity(t.Context(), refused.domain); err != nil {
		t.Fatal(err)
	}
	h.exec(t, "UPDATE domains SET parked_at = NULL WHERE id = $1", refused.domainID)
	h.clock.advance(time.Hour)
	eventually(t, "all is sent", func() bool {
		_, err := h.worker.RunOnce(t.Context())
		must(t, err)
		return h.idle(t)()
	})
}

// counting counts the messages that SES is asked to send.
type counting struct {
	sending.Provider
	calls atomic.Int64
}

func (c *counting) Send(ctx context.Context, m ses.Message) (string, error) {
	c.calls.Add(1)
	return c.Provider.Send(ctx, m)
}

// sender is a sending.Provider as a function.
type sender func(ctx context.Context, m ses.Message) (string, error)

func (s sender) Send(ctx context.Context, m ses.Message) (string, error) { return s(ctx, m) }

func TestPanicIsOneMessagesFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 2)
	h.worker = h.newWorker(t, func(c *worker.Config) {
		c.SES = sender(func(ctx context.Context, m ses.Message) (string, error) {
			if m.ID == ids[0] {
				panic("secret of " + m.To[0])
			}
			return h.client.Send(ctx, m)
		})
	})
	h.pass(t, 2)
	if row := h.waiting(t, o, ids[0]); row.AmbiguousAttempts != 1 {
		t.Errorf("an attempt that was cut off is not ambiguous: %+v", *row)
	}
	h.requireSent(t, o, ids[1])
	if log := h.log.String(); !strings.Contains(log, "panicked") || strings.Contains(log, "rcpt.example") {
		t.Errorf("the log says %s", log)
	}
}

func TestUnreadableAnswersAreStorable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 2)
	h.worker = h.newWorker(t, func(c *worker.Config) {
		c.SES = sender(func(_ context.Context, m ses.Message) (string, error) {
			if m.ID == ids[0] {
				return "", &ses.Error{Class: ses.Rejected, Detail: "bad \x00\xff" + strings.Repeat("ä", 1000), Err: errors.New("x")}
			}
			return "id\x00\xff" + strings.Repeat("x", 10_000), nil
		})
	})
	h.pass(t, 2)
	h.requireOutcome(t, o, ids[0], 1, "email.failed")
	h.requireSent(t, o, ids[1])
}

func TestLogHoldsNoAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.accept(t, o, 1)
	for _, faults := range []sessim.Faults{{Throttle: 1}, {Status5xx: 1}, {DropRequest: 1}} {
		h.ses.SetFaults(faults)
		h.pass(t, 1)
		h.clock.advance(time.Hour)
	}
	h.exec(t, "UPDATE recipients SET address = 'nobody'")
	h.pass(t, 1)
	log := h.log.String()
	for _, secret := range []string{"rcpt.example", "nobody", o.domain, "Hello", "A subject"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q: %s", secret, log)
		}
	}
	if !strings.Contains(log, "throttled") || !strings.Contains(log, "rejected") {
		t.Errorf("the log says too little: %s", log)
	}
}

func distinct(ids []string) map[string]int {
	seen := map[string]int{}
	for _, id := range ids {
		seen[id]++
	}
	return seen
}

func requireEachOnce(t testing.TB, h *house, ids []uuid.UUID) {
	t.Helper()
	var got []string
	for _, record := range h.ses.Records(0, len(ids)*2) {
		got = append(got, record.MessageID)
	}
	seen := distinct(got)
	for _, id := range ids {
		if n := seen[id.String()]; n != 1 {
			t.Errorf("message %s was sent %d times", id, n)
		}
	}
	if len(got) != len(ids) {
		t.Errorf("SES got %d messages, want %d", len(got), len(ids))
	}
}
