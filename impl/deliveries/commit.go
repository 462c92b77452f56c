package deliveries

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/webhook"
)

// commit stores a group of results, and what they mean for their webhooks, in one transaction. Doing so twice is doing so
// once. Deliveries are locked before webhooks, both in the order of ids.
func (d *Deliverer) commit(ctx context.Context, group []*settlement) error {
	var disabled []uuid.UUID
	err := d.config.Store.TxPipelined(ctx, func(tx *db.Queries) error {
		ours, err := tx.DeliverySettle(ctx, rowsOf(group))
		if err != nil {
			return fmt.Errorf("settle deliveries: %w", err)
		}
		said := d.aboutWebhooks(group, ours)
		if len(said.Ids) == 0 {
			return nil
		}
		if disabled, err = tx.WebhookSettle(ctx, said); err != nil {
			return fmt.Errorf("settle webhooks: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.notePutBack(group)
	for _, id := range disabled {
		d.config.Log.InfoContext(ctx, "a webhook was disabled", slog.String("webhook_id", id.String()))
	}
	return nil
}

func rowsOf(group []*settlement) db.DeliverySettleParams {
	var rows db.DeliverySettleParams
	for _, one := range group {
		attempted := int32(0)
		if one.attempted {
			attempted = 1
		}
		rows.Ids = append(rows.Ids, one.row.ID)
		rows.Attempts = append(rows.Attempts, one.row.Attempt)
		rows.Attempted = append(rows.Attempted, attempted)
		rows.States = append(rows.States, one.state)
		rows.DueAt = append(rows.DueAt, one.dueAt)
		rows.FinishedAt = append(rows.FinishedAt, one.finishedAt)
		rows.At = append(rows.At, one.result.Began)
		rows.DurationMs = append(rows.DurationMs, one.result.Duration.Milliseconds())
		rows.StatusCodes = append(rows.StatusCodes, int32(one.result.Status))
		rows.ResponseExcerpts = append(rows.ResponseExcerpts, one.result.Excerpt)
		rows.Errors = append(rows.Errors, one.result.Failure)
	}
	return rows
}

// endpoint is what is said about a webhook while it has a URL.
type endpoint struct {
	webhookID uuid.UUID
	url       string
}

// aboutWebhooks collects what the results of a group say about each webhook, in the order in which they came. A failure of
// an attempt that is not ours any more says nothing: the attempt that followed does.
func (d *Deliverer) aboutWebhooks(group []*settlement, ours []uuid.UUID) db.WebhookSettleParams {
	isOurs := make(map[uuid.UUID]bool, len(ours))
	for _, id := range ours {
		isOurs[id] = true
	}
	now := d.config.Now()
	said := db.WebhookSettleParams{
		Now: now, HopelessSince: now.Add(-webhook.DisableAfter), GoneReason: reasonGone, HopelessReason: reasonFailingForDays,
	}
	places := map[endpoint]int{}
	for _, one := range group {
		failed := one.result.Failure != ""
		if !one.attempted || failed && !isOurs[one.row.ID] {
			continue
		}
		about := endpoint{one.row.WebhookID, one.row.URL}
		place, known := places[about]
		if !known {
			place = addWebhook(&said, about)
			places[about] = place
		}
		said.Succeeded[place] = said.Succeeded[place] || !failed
		said.Failed[place] = said.Failed[place] || failed
		said.IsFailing[place] = failed
		said.Gone[place] = said.Gone[place] || failed && one.result.Gone()
		addConcurrency(&said, place, one)
		if until := now.Add(one.result.RetryAfter); failed && until.After(said.PausedUntil[place]) {
			said.PausedUntil[place] = until
		}
	}
	return said
}

func addWebhook(said *db.WebhookSettleParams, about endpoint) (place int) {
	said.Ids = append(said.Ids, about.webhookID)
	said.Urls = append(said.Urls, about.url)
	said.Succeeded = append(said.Succeeded, false)
	said.Failed = append(said.Failed, false)
	said.IsFailing = append(said.IsFailing, false)
	said.Gone = append(said.Gone, false)
	said.Quick = append(said.Quick, false)
	said.GrowsFrom = append(said.GrowsFrom, 0)
	said.Grown = append(said.Grown, 0)
	said.AtMost = append(said.AtMost, math.MaxInt32)
	said.PausedUntil = append(said.PausedUntil, time.Time{})
	return len(said.Ids) - 1
}

func addConcurrency(said *db.WebhookSettleParams, place int, one *settlement) {
	claimed := one.row.Concurrency
	next, quick := webhook.Concurrency(claimed, one.result.Duration, one.result.Failure != "")
	said.Quick[place] = quick
	switch {
	case one.result.Failure != "" || next < claimed:
		said.AtMost[place] = min(said.AtMost[place], next)
	case next > claimed && claimed >= said.GrowsFrom[place]:
		said.GrowsFrom[place], said.Grown[place] = claimed, next
	}
}
