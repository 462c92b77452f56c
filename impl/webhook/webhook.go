// Package webhook posts one event to the URL of an organization.
//
//   - webhook.go: this map
//   - secret.go, sign.go: signing keys, and the headers that they make (Standard Webhooks)
//   - payload.go: the events that are not about a message; those are made by the statement that stores them
//   - address.go: which addresses may be connected to
//   - policy.go: which URLs an operator allows
//   - sender.go, failure.go: one attempt, and what it is called when it fails
//   - schedule.go: when to try again
//
// It knows no rows: package deliveries claims deliveries and stores their results.
package webhook
