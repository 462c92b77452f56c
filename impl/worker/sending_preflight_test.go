package worker_test

import (
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/sessim"
)

// Messages of a suspended organization are not even claimed, and all of them go out when it is resumed.
func TestSuspendedWaitsAndResumes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 3)
	organizations := organization.Organizations{Store: h.store, Now: h.clock.Now}
	must(t, organizations.Suspend(t.Context(), o.id))
	for range 3 {
		h.pass(t, 0)
		h.clock.advance(5 * time.Minute)
	}
	if row := h.row(t, ids[0]); row == nil || row.Attempt != 0 {
		t.Fatalf("the row is %+v", row)
	}
	must(t, organizations.Resume(t.Context(), o.id))
	h.pass(t, 3)
	for _, id := range ids {
		h.requireSent(t, o, id)
	}
}

func TestWhatChangedSinceAcceptanceFails(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, c := range map[string]struct{ statement, reason string }{
		"domain deleted":      {"DELETE FROM domains WHERE organization_id = $1", reasonDomain},
		"domain fell back":    {"UPDATE domains SET status = 'Pending' WHERE organization_id = $1", reasonDomain},
		"recipient":           {"INSERT INTO suppressions (id, organization_id, address_key, reason, created_at) VALUES (gen_random_uuid(), $1, 'to.0@rcpt.example', 'Bounce', now())", reasonSuppressed},
		"blind carbon copy":   {"INSERT INTO suppressions (id, organization_id, address_key, reason, created_at) VALUES (gen_random_uuid(), $1, 'hidden@rcpt.example', 'Bounce', now())", reasonSuppressed},
		"content was dropped": {"DELETE FROM contents WHERE organization_id = $1", "The content of the message is no longer kept."},
	} {
		t.Run(name, func(t *testing.T) { // one after the other, as each pass takes what is due
			o, other := h.tenant(t), h.tenant(t)
			id, fine := h.accept(t, o, 1)[0], h.accept(t, other, 1)[0]
			h.exec(t, c.statement, o.id)
			h.pass(t, 2)
			h.requireFailed(t, o, id, c.reason)
			h.requireSent(t, other, fine)
		})
	}
	if n := h.ses.Stats().Accepted; n != 5 {
		t.Errorf("SES got %d messages, want the other organizations' alone", n)
	}
}

func TestExpires(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(h *house, o tenant){
		"throttled for ever": func(h *house, _ tenant) { h.ses.SetFaults(sessim.Faults{Throttle: -1}) },
		"suspended for ever": func(h *house, o tenant) {
			h.exec(t, "UPDATE organizations SET suspended_at = now() WHERE id = $1", o.id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			o := h.tenant(t)
			id := h.accept(t, o, 1)[0]
			prepare(h, o)
			h.clock.advance(72*time.Hour - time.Microsecond)
			h.pass(t, 1)
			h.waiting(t, o, id)
			h.clock.advance(5 * time.Minute)
			h.pass(t, 1)
			h.requireFailed(t, o, id, reasonExpired)
		})
	}
}

func TestMessageThatIsGoneEndsItsWork(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.exec(t, "DELETE FROM emails WHERE id = $1", id)
	h.pass(t, 1)
	if h.row(t, id) != nil || len(h.events(t, o, id)) != 0 {
		t.Error("a message without a row is still due, or left a trace")
	}
}
