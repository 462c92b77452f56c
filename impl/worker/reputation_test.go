package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Permanent bounces and complaints count against their sender, each once however often SES reports them; what costs no
// reputation at SES does not count.
func TestWhatCountsAgainstTheSender(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const simulated = "bounce@simulator.amazonses.com"
	for name, test := range map[string]struct {
		make                func(id uuid.UUID) string
		bounces, complaints int
	}{
		"permanent": {func(id uuid.UUID) string { return bounceEvent(id, firstRecipient, "Permanent", "General", "one") }, 1, 0},
		"transient": {func(id uuid.UUID) string { return bounceEvent(id, firstRecipient, "Transient", "General", "one") }, 0, 0},
		"on the list": {func(id uuid.UUID) string {
			return bounceEvent(id, firstRecipient, "Permanent", "OnAccountSuppressionList", "one")
		}, 0, 0},
		"unknown one": {func(id uuid.UUID) string { return bounceEvent(id, "other@rcpt.example", "Permanent", "General", "one") }, 1, 0},
		"complaint":   {func(id uuid.UUID) string { return complaintEvent(id, secondRecipient) }, 0, 1},
		"complaint of one of two": {func(id uuid.UUID) string {
			return event(id, "Complaint", "complaint", fmt.Sprintf(`{"feedbackId":"c","timestamp":"2026-03-01T12:00:03Z","complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":%q},{"emailAddress":%q}]}`, firstRecipient, secondRecipient))
		}, 0, 1},
		"delivered": {func(id uuid.UUID) string { return deliveryEvent(id, firstRecipient) }, 0, 0},
		"simulated": {func(id uuid.UUID) string { return bounceEvent(id, simulated, "Permanent", "General", "one") }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := h.tenant(t)
			id := h.accept(t, o, 1)[0]
			if name == "simulated" {
				h.exec(t, "UPDATE recipients SET address = $2, address_key = $2 WHERE email_id = $1 AND position = 0", id, simulated)
			}
			h.noSends(t)
			h.notify(t, test.make(id), test.make(id))
			h.learnAll(t)
			for kind, want := range map[string]int{"bounce": test.bounces, "complaint": test.complaints} {
				got := h.count(t, "SELECT count(*) FROM reputation_facts WHERE organization_id = $1 AND kind = $2 AND domain = $3", o.id, kind, o.domain)
				if got != want {
					t.Errorf("%d facts of a %s, want %d", got, kind, want)
				}
			}
		})
	}
}

// The mail of an organization whose sending is paused is not claimed, except to end it after 72 hours; another's is.
func TestPausedMailWaits(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	paused, other := h.tenant(t), h.tenant(t)
	waiting, sent := h.accept(t, paused, 1)[0], h.accept(t, other, 1)[0]
	h.exec(t, "UPDATE organizations SET sending_paused_at = now() WHERE id = $1", paused.id)
	h.pass(t, 1)
	h.requireSent(t, other, sent)
	if row := h.row(t, waiting); row == nil {
		t.Fatal("the message that waits is gone")
	}
	h.clock.advance(73 * time.Hour)
	h.pass(t, 1)
	h.requireFailed(t, paused, waiting, "The message could not be sent within 72 hours.")
}
