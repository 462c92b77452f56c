package deliveries

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/workqueue"
)

// The states of a delivery.
const (
	statePending   = "Pending"
	stateDelivered = "Delivered"
	stateFailed    = "Failed"
)

func (d *Deliverer) claim(ctx context.Context, claim workqueue.ClaimRequest) ([]db.DeliveryClaimRow, error) {
	worker, ready := d.config.Worker()
	if !ready {
		return nil, nil
	}
	lanes, floors, err := d.lanes.Due(ctx, claim.Now)
	if err != nil || len(lanes) == 0 {
		return nil, err
	}
	params := d.slots.claimParams(claim)
	params.WorkerID, params.Lanes, params.Floors, params.LeaseFloors = worker, lanes, floors, d.leases.of(lanes, claim.Now)
	rows, err := d.config.Store.Queries().DeliveryClaim(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	d.slots.take(rows)
	return rows, nil
}

// handle makes one attempt and stores its result.
func (d *Deliverer) handle(ctx context.Context, row db.DeliveryClaimRow) {
	defer d.slots.release(row)
	keys, err := d.signingKeys(row)
	if err != nil {
		if d.keyLogs.Allow("signing key", d.config.Now()) {
			d.config.Log.ErrorContext(ctx, "the signing key of a webhook cannot be read; was MAILSTACK_SECRET_KEY changed?",
				slog.String("webhook_id", row.WebhookID.String()), slog.Any("error", err))
		}
		d.postpone(ctx, row, keyRetry)
		return
	}
	if ctx.Err() != nil {
		// The process is stopping: no time is left for an attempt.
		d.postpone(ctx, row, 0)
		return
	}
	result := d.config.Sender.Send(ctx, webhook.Delivery{URL: row.URL, EventID: row.EventID, Body: row.Payload, Keys: keys})
	if result.Failure != "" && ctx.Err() != nil {
		// We cut the attempt off ourselves, so it does not count as a failure.
		d.postpone(ctx, row, 0)
		return
	}
	d.settler.settle(ctx, d.settlementOf(row, result))
}

// postpone puts a delivery back that was not attempted.
func (d *Deliverer) postpone(ctx context.Context, row db.DeliveryClaimRow, wait time.Duration) {
	d.settler.settle(ctx, &settlement{row: row, state: statePending, dueAt: d.config.Now().Add(wait)})
}

// settlementOf decides what follows from an attempt.
func (d *Deliverer) settlementOf(row db.DeliveryClaimRow, result webhook.Result) *settlement {
	now := d.config.Now()
	settled := &settlement{row: row, attempted: true, result: result, state: stateDelivered, finishedAt: now}
	if result.Failure == "" {
		return settled
	}
	settled.state = stateFailed
	if wait, again := webhook.RetryDelay(row.Attempt-row.AttemptsBefore, result.RetryAfter, d.config.Random()); again {
		settled.state, settled.dueAt = statePending, now.Add(wait)
	}
	return settled
}

// signingKeys returns the unsealed signing keys of a webhook, the present one first.
func (d *Deliverer) signingKeys(row db.DeliveryClaimRow) ([]webhook.SigningKey, error) {
	sealed := [][]byte{row.SealedSecret}
	if row.PreviousSecretExpiresAt != nil && row.PreviousSecretExpiresAt.After(d.config.Now()) {
		sealed = append(sealed, row.PreviousSealedSecret)
	}
	keys := make([]webhook.SigningKey, len(sealed))
	for i, one := range sealed {
		key, err := d.config.Sealer.Open(one, webhook.SecretAAD(row.WebhookID))
		if err != nil {
			return nil, fmt.Errorf("open a signing key: %w", err)
		}
		keys[i] = key
	}
	return keys, nil
}
