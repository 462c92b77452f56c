package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/worker"
)

// SES rejects everything: the first organizations' mail may fail, but not everybody's. Sending pauses, and goes on when SES
// accepts again.
func TestRejectionsOfSeveralOrganizationsPauseSending(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	rejecting := true
	h.worker = h.newWorker(t, func(c *worker.Config) {
		c.SendConcurrency = 1
		c.SES = sender(func(_ context.Context, m ses.Message) (string, error) {
			if rejecting {
				return "", &ses.Error{Class: ses.Rejected, Detail: "Virus found"}
			}
			return "ses-" + m.ID.String(), nil
		})
	})
	const organizations = 6
	var tenants []tenant
	var ids []uuid.UUID
	for range organizations {
		o := h.tenant(t)
		tenants, ids = append(tenants, o), append(ids, h.accept(t, o, 1)[0])
	}
	for range organizations {
		if _, err := h.worker.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if failed := h.count(t, "SELECT count(*) FROM emails WHERE outcome = 1"); failed != 2 {
		t.Fatalf("%d messages failed before sending paused, want 2", failed)
	}
	rejecting = false
	for range 3 * organizations {
		h.clock.advance(10 * time.Minute)
		if _, err := h.worker.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sent := 0
	for i, o := range tenants {
		if h.row(t, ids[i]) == nil && h.count(t, "SELECT count(*) FROM emails WHERE organization_id = $1 AND outcome >= 2", o.id) == 1 {
			sent++
		}
	}
	if sent != organizations-2 {
		t.Errorf("%d messages were sent afterwards, want %d", sent, organizations-2)
	}
}

// Rejections between messages that SES accepts are mistakes of their senders, however many those are.
func TestRejectionsBetweenSuccessesFail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	calls := 0
	h.worker = h.newWorker(t, func(c *worker.Config) {
		c.SendConcurrency = 1
		c.SES = sender(func(_ context.Context, m ses.Message) (string, error) {
			if calls++; calls%2 == 1 {
				return "", &ses.Error{Class: ses.Rejected, Detail: "Virus found"}
			}
			return "ses-" + m.ID.String(), nil
		})
	})
	for range 8 {
		h.accept(t, h.tenant(t), 1)
	}
	for range 8 {
		h.pass(t, 1)
	}
	if failed := h.count(t, "SELECT count(*) FROM emails WHERE outcome = 1"); failed != 4 {
		t.Errorf("%d messages failed, want 4", failed)
	}
}
