package mail

import "strings"

// The types of facts about a message, as the API shows them.
const (
	EventTypeSent       = "email.sent"
	EventTypeDelivered  = "email.delivered"
	EventTypeBounced    = "email.bounced"
	EventTypeComplained = "email.complained"
	EventTypeFailed     = "email.failed"
	EventTypeDelayed    = "email.delayed"
	EventTypeOpened     = "email.opened"
	EventTypeClicked    = "email.clicked"
)

// The keys of facts that a message has once. Every other key begins with a word and a slash.
const (
	EventKeySent       = "sent"
	EventKeySendFailed = "failed"
)

// OutcomeOfEvent is what a fact says about those whom it concerns. Facts that change no status, and types that are
// unknown, say OutcomeQueued. A message that failed was either given up by us or rejected by the provider; the key of
// the fact tells which.
func OutcomeOfEvent(factType, key string) Outcome {
	switch factType {
	case EventTypeSent:
		return OutcomeSent
	case EventTypeDelivered:
		return OutcomeDelivered
	case EventTypeBounced:
		return OutcomeBounced
	case EventTypeComplained:
		return OutcomeComplained
	case EventTypeFailed:
		if strings.HasPrefix(key, "rejected/") {
			return OutcomeRejected
		}
		return OutcomeSendFailed
	default:
		return OutcomeQueued
	}
}
