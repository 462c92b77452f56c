package view

import (
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/webhook"
)

// Webhook returns a webhook as of now, without its secret.
func Webhook(row db.Webhook, now time.Time) api.Webhook {
	events := make([]api.WebhookEventType, len(row.Events))
	for i, event := range row.Events {
		events[i] = api.WebhookEventType(event)
	}
	expires := TimeOrNull(row.PreviousSecretExpiresAt)
	if expires != nil && !expires.After(now) {
		expires = nil
	}
	return api.Webhook{
		ID:                      row.ID,
		URL:                     row.URL,
		Events:                  events,
		Enabled:                 row.Enabled,
		DisabledReason:          row.DisabledReason,
		PreviousSecretExpiresAt: expires,
		CreatedAt:               Time(row.CreatedAt),
		UpdatedAt:               Time(row.UpdatedAt),
	}
}

// WebhookWithSecret returns a webhook with its secret, for the only response that shows the secret.
func WebhookWithSecret(shown api.Webhook, key webhook.SigningKey) api.WebhookWithSecret {
	return api.WebhookWithSecret{
		ID:                      shown.ID,
		URL:                     shown.URL,
		Events:                  shown.Events,
		Enabled:                 shown.Enabled,
		DisabledReason:          shown.DisabledReason,
		PreviousSecretExpiresAt: shown.PreviousSecretExpiresAt,
		CreatedAt:               shown.CreatedAt,
		UpdatedAt:               shown.UpdatedAt,
		SigningSecret:           key.Reveal(),
	}
}
