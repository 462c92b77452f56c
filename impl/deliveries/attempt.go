package deliveries

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
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
	rows, err := d.config.Store.Queries().DeliveryClaim(ctx, d.slots.claimParams(claim))
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	d.slots.take(rows)
	return rows, nil
}

// handle makes one attempt and stores its result. When the result cannot be stored, the lease expires and the
// event is delivered once more under the same id.
func (d *Deliverer) handle(ctx context.Context, row db.DeliveryClaimRow) {
	defer d.slots.release(row)
	keys, err := d.signingKeys(row)
	if err != nil {
		if d.keyLogs.Allow("signing key", d.config.Now()) {
			d.config.Log.ErrorContext(ctx, "the signing key of a webhook cannot be read; was MAILSTACK_SECRET_KEY changed?",
				slog.String("webhook_id", row.WebhookID.String()), slog.Any("error", err))
		}
		d.settleWithRetry(ctx, row, func(ctx context.Context) error { return d.postpone(ctx, row, keyRetry) })
		return
	}
	if ctx.Err() != nil {
		// The process is stopping: no time is left for an attempt.
		d.settleWithRetry(ctx, row, func(ctx context.Context) error { return d.postpone(ctx, row, 0) })
		return
	}
	result := d.config.Sender.Send(ctx, webhook.Delivery{URL: row.URL, EventID: row.EventID, Body: row.Payload, Keys: keys})
	if result.Failure != "" && ctx.Err() != nil {
		// We cut the attempt off ourselves, so it does not count as a failure.
		d.settleWithRetry(ctx, row, func(ctx context.Context) error { return d.postpone(ctx, row, 0) })
		return
	}
	d.settleWithRetry(ctx, row, func(ctx context.Context) error { return d.settle(ctx, row, result) })
}

// settleWithRetry calls settle until it succeeds or settleTimeout is over.
func (d *Deliverer) settleWithRetry(ctx context.Context, row db.DeliveryClaimRow, settle func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	for attempt := int32(1); ; attempt++ {
		err := settle(ctx)
		if err == nil {
			return
		}
		if backoff.Sleep(ctx, backoff.Exponential(minSettleRetry, maxSettleRetry, attempt, d.config.Random())) == nil {
			continue
		}
		d.config.Log.WarnContext(ctx, "the result of a delivery could not be stored",
			slog.String("delivery_id", row.ID.String()), slog.Any("error", err))
		return
	}
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

func (d *Deliverer) postpone(ctx context.Context, row db.DeliveryClaimRow, wait time.Duration) error {
	err := d.config.Store.Queries().DeliveryPostpone(ctx, db.DeliveryPostponeParams{
		ID: row.ID, Attempt: row.Attempt, DueAt: d.config.Now().Add(wait),
	})
	if err != nil {
		return fmt.Errorf("postpone a delivery: %w", err)
	}
	return nil
}

// settle stores an attempt and what it means for the delivery and its webhook. Doing so twice is doing so once.
func (d *Deliverer) settle(ctx context.Context, row db.DeliveryClaimRow, result webhook.Result) error {
	return d.config.Store.Tx(ctx, func(tx *db.Queries) error {
		ours, err := tx.DeliverySettle(ctx, d.settlementOf(row, result))
		if err != nil {
			return fmt.Errorf("settle a delivery: %w", err)
		}
		if result.Failure == "" {
			return noteSuccess(ctx, tx, row, result)
		}
		if ours == 0 {
			return nil
		}
		return d.noteFailure(ctx, tx, row, result)
	})
}

func (d *Deliverer) settlementOf(row db.DeliveryClaimRow, result webhook.Result) db.DeliverySettleParams {
	now := d.config.Now()
	settled := db.DeliverySettleParams{
		ID: row.ID, Attempt: row.Attempt, State: stateDelivered, FinishedAt: &now,
		At: result.Began, DurationMs: result.Duration.Milliseconds(),
	}
	if result.Status != 0 {
		status := int32(result.Status)
		settled.StatusCode = &status
	}
	if result.Excerpt != "" {
		settled.ResponseExcerpt = &result.Excerpt
	}
	if result.Failure == "" {
		return settled
	}
	settled.State, settled.Error = stateFailed, &result.Failure
	if wait, again := webhook.RetryDelay(row.Attempt-row.AttemptsBefore, result.RetryAfter, d.config.Random()); again {
		dueAt := now.Add(wait)
		settled.State, settled.FinishedAt, settled.DueAt = statePending, nil, &dueAt
	}
	return settled
}

func noteSuccess(ctx context.Context, tx *db.Queries, row db.DeliveryClaimRow, result webhook.Result) error {
	concurrency, quick := webhook.Concurrency(row.Concurrency, result.Duration, false)
	err := tx.WebhookSucceeded(ctx, db.WebhookSucceededParams{
		ID: row.WebhookID, URL: row.URL, ClaimedConcurrency: row.Concurrency, Concurrency: concurrency, Quick: quick,
	})
	if err != nil {
		return fmt.Errorf("note a success: %w", err)
	}
	return nil
}

func (d *Deliverer) noteFailure(ctx context.Context, tx *db.Queries, row db.DeliveryClaimRow, result webhook.Result) error {
	now := d.config.Now()
	concurrency, quick := webhook.Concurrency(row.Concurrency, result.Duration, true)
	failed := db.WebhookFailedParams{
		ID: row.WebhookID, URL: row.URL, Now: now, Gone: result.Gone(), HopelessSince: now.Add(-webhook.DisableAfter),
		GoneReason: reasonGone, HopelessReason: reasonFailingForDays, Concurrency: concurrency, Quick: quick,
	}
	if result.RetryAfter > 0 {
		until := now.Add(result.RetryAfter)
		failed.PausedUntil = &until
	}
	disabled, err := tx.WebhookFailed(ctx, failed)
	switch {
	case store.IsNoRows(err):
		// The webhook was deleted or has another URL by now.
		return nil
	case err != nil:
		return fmt.Errorf("note a failure: %w", err)
	case disabled:
		d.config.Log.InfoContext(ctx, "a webhook was disabled", slog.String("webhook_id", row.WebhookID.String()))
	}
	return nil
}
