// Package usage reads what an organization has sent in the current period.
package usage

import (
	"time"

	"github.com/voostack/mailstack/impl/store"
)

// Operations are the operations on usage.
type Operations struct {
	Store *store.Store
	Now   func() time.Time
}
