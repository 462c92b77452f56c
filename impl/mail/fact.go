package mail

import "strings"

// The types of facts about a message, as the API shows them.
const (
	FactSent       = "email.sent"
	FactDelivered  = "email.delivered"
	FactBounced    = "email.bounced"
	FactComplained = "email.complained"
	FactFailed     = "email.failed"
	FactDelayed    = "email.delayed"
	FactOpened     = "email.opened"
	FactClicked    = "email.clicked"
)

// The keys of facts that a message has once. Every other key begins with a word and a slash.
const (
	FactKeySent   = "sent"
	FactKeyGaveUp = "failed"
)

// OutcomeOfFact is what a fact says about those whom it concerns. Facts that change no status, and types that are
// unknown, say OutcomeQueued. A message that failed was either given up by us or rejected by the provider; the key of
// the fact tells which.
func OutcomeOfFact(factType, key string) Outcome {
	switch factType {
	case FactSent:
		return OutcomeSent
	case FactDelivered:
		return OutcomeDelivered
	case FactBounced:
		return OutcomeBounced
	case FactComplained:
		return OutcomeComplained
	case FactFailed:
		if strings.HasPrefix(key, "rejected/") {
			return OutcomeRejected
		}
		return OutcomeGaveUp
	default:
		return OutcomeQueued
	}
}
