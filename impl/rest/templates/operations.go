// Package templates creates, edits, publishes and previews templates.
//
//   - operations.go: [Operations]
//   - templates.go: creating, reading, publishing and deleting templates; their versions
//   - edit.go: changing a template, which starts a draft
//   - preview.go: rendering a version without sending it
package templates

import (
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
)

// Operations are the operations on templates.
type Operations struct {
	Store *store.Store
	HTTP  *httpserver.Server
	Now   func() time.Time
	NewID func() uuid.UUID
	// Sealer authenticates the cursors of lists.
	Sealer *sealed.Sealer
}
