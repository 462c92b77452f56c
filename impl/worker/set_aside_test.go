package worker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/mail"
)

// TestRefusedEventsAreSetAside: an event that Postgres refuses is tried for seven days, then kept apart, and others pass.
func TestRefusedEventsAreSetAside(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	h.exec(t, "ALTER TABLE events ADD CONSTRAINT no_opens CHECK (type <> 'email.opened')")
	h.notify(t, openEvent(id))
	h.pass(t, 1)
	due := func() int { return h.count(t, "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL") }
	aside := func() int {
		counted, err := h.store.Queries().SetAsideCount(t.Context())
		must(t, err)
		return int(counted.Notifications)
	}
	h.clock.advance(7*24*time.Hour - time.Minute)
	h.pass(t, 1)
	if due() != 1 || aside() != 0 {
		t.Fatalf("before seven days, %d are due and %d set aside", due(), aside())
	}
	h.clock.advance(15 * time.Minute)
	h.pass(t, 1)
	if due() != 0 || aside() != 1 {
		t.Fatalf("after seven days, %d are due and %d set aside", due(), aside())
	}
	var body, refusal string
	must(t, h.store.Pool().QueryRow(t.Context(), "SELECT body, refusal FROM set_aside_notifications").Scan(&body, &refusal))
	if body != openEvent(id) || !strings.Contains(refusal, "no_opens") {
		t.Errorf("kept %q, refused by %q", body, refusal)
	}
	h.notify(t, deliveryEvent(id, firstRecipient))
	h.pass(t, 1)
	if status := mail.Outcome(h.email(t, o, id).Outcome).Status(); status != "Delivered" {
		t.Errorf("the message is %s", status)
	}
	must(t, h.worker.Events.DeleteExpired(t.Context()))
	if aside() != 1 {
		t.Error("what was set aside is gone at once")
	}
	h.clock.advance(91 * 24 * time.Hour)
	must(t, h.worker.Events.DeleteExpired(t.Context()))
	if aside() != 0 {
		t.Error("what was set aside is kept for ever")
	}
}

// TestRefusedResultsAreSetAside: a message that SES took, and whose result Postgres refuses, is sent once, and the others of
// its group are stored.
func TestRefusedResultsAreSetAside(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	ids := h.accept(t, o, 3)
	h.exec(t, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.email_id::text = TG_ARGV[0] THEN RAISE 'refused'; END IF; RETURN NEW; END $$")
	h.exec(t, "CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse('"+ids[1].String()+"')")
	h.pass(t, 3)
	for range 3 {
		h.clock.advance(2 * time.Minute)
		h.pass(t, 0)
	}
	if sent := h.ses.Stats().Accepted; sent != 3 {
		t.Errorf("%d messages were sent, want 3", sent)
	}
	for _, id := range ids {
		email := h.email(t, o, id)
		if status := mail.Outcome(email.Outcome).Status(); status != "Sent" || email.ProviderMessageID == nil {
			t.Errorf("%s is %s, provider id %v", id, status, email.ProviderMessageID)
		}
	}
	counted, err := h.store.Queries().SetAsideCount(t.Context())
	must(t, err)
	if counted.Results != 1 || h.count(t, "SELECT count(*) FROM set_aside_results WHERE email_id = $1 AND result = 'sent'", ids[1]) != 1 {
		t.Errorf("set aside: %+v", counted)
	}
}
