package view

import (
	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
)

// WebhookDelivery returns a delivery with its attempts.
func WebhookDelivery(row db.Delivery, attempts []api.WebhookAttempt) api.WebhookDelivery {
	if attempts == nil {
		attempts = []api.WebhookAttempt{}
	}
	next := TimeOrNull(row.DueAt)
	if row.LeasedUntil != nil {
		next = nil
	}
	return api.WebhookDelivery{
		ID:            row.ID,
		EventID:       row.EventID,
		EventType:     api.WebhookDeliveryEventType(row.EventType),
		State:         api.WebhookDeliveryState(row.State),
		NextAttemptAt: next,
		CreatedAt:     Time(row.CreatedAt),
		FinishedAt:    TimeOrNull(row.FinishedAt),
		Attempts:      attempts,
	}
}

// WebhookAttempt returns one attempt of a delivery.
func WebhookAttempt(row db.DeliveryAttempt) api.WebhookAttempt {
	return api.WebhookAttempt{
		Attempt:         row.Attempt,
		At:              Time(row.At),
		DurationMs:      row.DurationMs,
		StatusCode:      row.StatusCode,
		ResponseExcerpt: row.ResponseExcerpt,
		Error:           row.Error,
	}
}
