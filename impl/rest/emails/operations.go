// Package emails sends messages, and reads them with their status and email events.
//
//   - operations.go: [Operations]
//   - emails.go: sending one message or a batch, and reading one
//   - list.go: the list of messages and its filters
//   - events.go: the email events of a message
package emails

import (
	"github.com/voostack/mailstack/impl/compose"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
)

// Operations are the operations on messages.
type Operations struct {
	Store    *store.Store
	HTTP     *httpserver.Server
	Composer *compose.Composer
	// Sealer authenticates the cursors of lists.
	Sealer *sealed.Sealer
}
