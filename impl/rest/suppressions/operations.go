// Package suppressions reads and changes the list of addresses that an organization does not send to.
package suppressions

import (
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
)

// Operations are the operations on suppressions.
type Operations struct {
	Store *store.Store
	HTTP  *httpserver.Server
	// AccountSuppressions is the suppression list of the SES account.
	AccountSuppressions AccountSuppressions
	Now                 func() time.Time
	NewID               func() uuid.UUID
	// Sealer authenticates the cursors of lists.
	Sealer *sealed.Sealer
}
