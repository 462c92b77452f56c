// Package view turns rows of the database into what the API shows of them, for every entry point. It does no I/O.
//
//   - api_keys.go, billing.go, deliveries.go, domains.go, emails.go, suppressions.go, templates.go, webhooks.go: one
//     file per tag of the spec
//   - time.go: times and empty values
package view

import "time"

// UTC returns a time in UTC, as every response shows it. Nil stays nil.
func UTC(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	shown := at.UTC()
	return &shown
}

// OrNull returns nil for an empty string, which is shown as null.
func OrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
