// Package webhook posts one event to the URL of an organization's webhook.
//
//   - webhook.go: this list
//   - secret.go, sign.go: signing keys, and the headers that they produce (Standard Webhooks)
//   - payload.go: the bodies of events about domains and of test events; the statement that stores an email event
//     makes its body
//   - address.go: the addresses that may be connected to
//   - policy.go: the URLs that an operator allows
//   - sender.go, failure.go: one attempt, and the text for its failure
//   - connections.go: connections that are kept for later attempts
//   - schedule.go: when to retry
//   - concurrency.go: how many deliveries to an endpoint may be in flight
//
// It uses no database: package deliveries claims deliveries and stores their results.
package webhook
