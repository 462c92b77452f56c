package worker_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/sessim"
)

// SES may report an event before the transaction that accepted the message is visible.
func TestEventBeforeItsMessage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	h.exec(t, "CREATE TABLE aside AS SELECT * FROM emails WHERE id = $1::uuid", id)
	h.exec(t, "DELETE FROM emails WHERE id = $1", id)
	h.notify(t, deliveryEvent(id, firstRecipient))
	h.pass(t, 1)
	h.pass(t, 0) // it waits
	for range 40 {
		h.clock.advance(15 * time.Minute)
		h.pass(t, 1)
	}
	h.exec(t, "INSERT INTO emails SELECT * FROM aside")
	h.clock.advance(15 * time.Minute)
	h.pass(t, 1)
	if seen := h.picture(t, o, id); !strings.HasPrefix(seen.Email, "Delivered,") {
		t.Errorf("it looks like %+v", seen)
	}
}

func TestEventsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	unknown := newID(t)
	untagged := strings.ReplaceAll(sendEvent(unknown), "mailstack-message-id", "other")
	h.notify(t, sendEvent(unknown), untagged, "Successfully validated SNS topic for Amazon SES event publishing.")
	h.pass(t, 3)
	due := func() int { return h.count(t, "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL") }
	if due() != 1 {
		t.Errorf("%d notifications are due, want only the one with our tag", due())
	}
	h.clock.advance(7*24*time.Hour - time.Minute)
	h.pass(t, 1)
	if due() != 1 {
		t.Error("it was given up early")
	}
	h.clock.advance(15 * time.Minute)
	h.pass(t, 1)
	if due() != 0 {
		t.Error("it was not given up after seven days")
	}
	for _, why := range []string{"not ours", "unreadable", "unknown message"} {
		if !strings.Contains(h.log.String(), why) {
			t.Errorf("the log does not tell of one that is %s", why)
		}
	}
	must(t, h.worker.Events.DeleteExpired(t.Context()))
	if left := h.count(t, "SELECT count(*) FROM notifications"); left != 0 {
		t.Errorf("%d notifications are kept", left)
	}
}

// The events of a probe belong to no message and are not logged as dropped. The sender of the probe finds its
// notification before and after it is handled, as long as notifications are kept.
func TestEventsOfAProbe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	probe, other, began := newID(t), newID(t), h.clock.Now()
	found := func(id uuid.UUID, since time.Time) bool {
		seen, err := h.store.Queries().NotificationGetByProbe(t.Context(), db.NotificationGetByProbeParams{Since: since, Probe: id.String()})
		must(t, err)
		return seen
	}
	h.notify(t, strings.ReplaceAll(sendEvent(probe), "mailstack-message-id", "mailstack-probe"))
	if !found(probe, began) || found(other, began) || found(probe, began.Add(time.Minute)) {
		t.Error("the notification that is due is not the one that is found")
	}
	h.pass(t, 1)
	if !found(probe, began) || found(other, began) {
		t.Error("the notification that is settled is not the one that is found")
	}
	if left := h.count(t, "SELECT count(*) FROM notifications WHERE due_at IS NOT NULL OR length(body) <> 36"); left != 0 {
		t.Errorf("%d notifications are not settled", left)
	}
	if strings.Contains(h.log.String(), "dropped") {
		t.Errorf("the log says:\n%s", h.log.String())
	}
	h.clock.advance(49 * time.Hour)
	must(t, h.worker.Events.DeleteExpired(t.Context()))
	if found(probe, began) || h.count(t, "SELECT count(*) FROM notifications") != 0 {
		t.Error("the probe is kept for ever")
	}
}

func TestEventIsMatchedByTheProvidersID(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.pass(t, 1)
	provider := *h.email(t, o, id).ProviderMessageID
	body := strings.ReplaceAll(deliveryEvent(id, firstRecipient), "ses-"+id.String(), provider)
	h.notify(t, strings.ReplaceAll(body, "mailstack-message-id", "other"))
	h.pass(t, 1)
	if got := h.email(t, o, id).Outcome; got != int16(mail.OutcomeDelivered) {
		t.Errorf("the outcome is %d", got)
	}
}

// An attempt whose response was lost had reached SES: its event reports so, and there is no second attempt.
func TestEventResolvesAnAmbiguousAttempt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.ses.SetFaults(sessim.Faults{DropAnswer: 1})
	h.pass(t, 1)
	h.ses.ClearFaults()
	if row := h.row(t, id); row == nil || row.AmbiguousAttempts != 1 {
		t.Fatalf("the attempt is not ambiguous: %+v", row)
	}
	h.notify(t, sendEvent(id))
	h.pass(t, 1)
	h.requireLearned(t, o, id)
	h.clock.advance(time.Minute)
	h.pass(t, 0)
	if h.row(t, id) != nil || len(h.ses.Messages()) != 1 {
		t.Errorf("SES got %d messages", len(h.ses.Messages()))
	}
}

func (h *house) requireLearned(t testing.TB, o tenant, id uuid.UUID) {
	t.Helper()
	if seen := h.picture(t, o, id); seen.Email != "Sent, -, ses-ID, sent true" || !slices.Equal(seen.Recipients, []string{"Sent", "Sent"}) {
		t.Errorf("it looks like %+v", seen)
	}
}

// A message that we gave up but that had reached SES is shown as sent, without an error message.
func TestEventOutranksGivingUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	id := h.accept(t, o, 1)[0]
	h.clock.advance(73 * time.Hour)
	h.pass(t, 1)
	if got := h.picture(t, o, id).Email; !strings.HasPrefix(got, "Failed,") {
		t.Fatalf("the message is %s", got)
	}
	h.notify(t, sendEvent(id))
	h.pass(t, 1)
	h.requireLearned(t, o, id)
}

// An event that arrives before our own commit still has the provider's id in its webhook.
func TestEarlyEventNamesTheProvidersID(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	h.subscribe(t, o, "https://a.example", "email.delivered", "email.opened")
	id := h.accept(t, o, 1)[0]
	h.noSends(t)
	h.notify(t, deliveryEvent(id, firstRecipient), openEvent(id))
	h.pass(t, 4) // two events, and each of them as a delivery
	came := e.to("https://a.example")
	if len(came) != 2 {
		t.Fatalf("%d deliveries came", len(came))
	}
	for _, one := range came {
		if !strings.Contains(one.Body, `"providerMessageId" : "ses-`+id.String()+`"`) {
			t.Errorf("the event is %s", one.Body)
		}
	}
}
