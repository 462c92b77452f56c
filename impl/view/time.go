// Package view turns rows of the database into what the API shows of them, for every entry point. It does no I/O.
//
//   - api_keys.go, billing.go, deliveries.go, domains.go, emails.go, suppressions.go, templates.go, webhooks.go: one
//     file per tag of the spec
//   - time.go: times and empty values
package view

import (
	"time"

	"github.com/voostack/mailstack/gen/api"
)

// Time returns a time as every response shows it.
func Time(at time.Time) api.Time { return api.Time{Time: at.UTC()} }

// TimeOrNull returns a time as every response shows it. Nil stays nil.
func TimeOrNull(at *time.Time) *api.Time {
	if at == nil {
		return nil
	}
	shown := Time(*at)
	return &shown
}

// OrNull returns nil for an empty string, which is shown as null.
func OrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
