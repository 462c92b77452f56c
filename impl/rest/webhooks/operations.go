// Package webhooks creates and changes webhooks, and lists and replays their deliveries.
//
//   - operations.go: [Operations]
//   - webhooks.go: webhooks and their secrets
//   - deliveries.go: deliveries, test events and replays
//   - queueing_limit.go: how fast an organization may queue test events and replays
package webhooks

import (
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
)

// Operations are the operations on webhooks.
type Operations struct {
	Store  *store.Store
	HTTP   *httpserver.Server
	Now    func() time.Time
	NewID  func() uuid.UUID
	Random io.Reader
	// Sealer authenticates the cursors of lists, and encrypts signing keys.
	Sealer *sealed.Sealer
	// WebhookPolicy decides which URLs webhooks may have.
	WebhookPolicy webhook.Policy
	queueing      queueingLimiter
}
