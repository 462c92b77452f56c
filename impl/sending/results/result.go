// Package results stores what became of attempts to send messages.
//
//   - result.go: [Result], what one attempt has led to
//   - settle.go: [Settler], which stores results in groups
//   - commit.go: storing a group, in one transaction
//   - set_aside.go: results that Postgres refuses
package results

import "time"

// Disposition is what an attempt does with the due row of its message.
type Disposition int

const (
	// Retry means that the message comes due again.
	Retry Disposition = iota
	// Sent means that SES accepted the message.
	Sent
	// Failed means that the message failed for good.
	Failed
	// Superseded means that nothing is left to do, and that there is no event to store.
	Superseded
)

// Result is the result of one attempt.
type Result struct {
	Disposition Disposition
	At          time.Time
	// ProviderMessageID is SES's id of a sent message.
	ProviderMessageID string
	// Code and Reason say why the message failed: Code for programs, Reason for people.
	Code, Reason string
	DueAt        time.Time
	// Ambiguous means that SES may have accepted the message.
	Ambiguous bool
	// AwaitsEvent means that the next attempt waits for an event of SES to arrive first.
	AwaitsEvent   bool
	RecheckDomain bool
}

// String returns the disposition as metrics name it.
func (k Disposition) String() string {
	return [...]string{Retry: "postponed", Sent: "sent", Failed: "failed", Superseded: "finished"}[k]
}
