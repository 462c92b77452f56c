package mail

import "strings"

// The types of events about a message, as the API shows them.
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

// The keys of events that a message has once. Every other key begins with a word and a slash.
const (
	EventKeySent       = "sent"
	EventKeySendFailed = "failed"
)

// OutcomeOfEvent returns the outcome that an event means for its recipients: OutcomeQueued for events that change
// no status, and for unknown types. An email.failed event means either that we stopped trying or that the provider
// rejected the message; its key decides which.
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
