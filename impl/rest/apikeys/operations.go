// Package apikeys creates, lists and revokes the API keys of an organization.
package apikeys

import (
	"time"

	"github.com/voostack/mailstack/impl/auth"
)

// Operations are the operations on API keys.
type Operations struct {
	Keys auth.Keys
	Now  func() time.Time
}
