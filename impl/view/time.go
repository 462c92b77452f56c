// Package view turns rows into what the API shows of them, for every entry point that shows them. It does no I/O.
//
//   - api_keys.go, billing.go, deliveries.go, domains.go, emails.go, suppressions.go, templates.go, webhooks.go: a file for
//     each tag of the spec
//   - time.go: times and empty values
package view

import "time"

// UTC returns a time as every response shows it; nil stays nil.
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
