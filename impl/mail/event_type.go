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

// The words with which the keys of some events begin, because a message may have them besides others of their type.
const (
	// EventWordRejected is of email.failed: the provider refused the message after accepting it.
	EventWordRejected = "rejected"
	// EventWordSoftBounced is of email.bounced: see [OutcomeSoftBounced].
	EventWordSoftBounced = "softBounced"
	// EventWordOpenedByMachine and EventWordClickedByMachine are of opens and clicks that a program probably caused.
	EventWordOpenedByMachine  = "openedByMachine"
	EventWordClickedByMachine = "clickedByMachine"
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
		if strings.HasPrefix(key, EventWordSoftBounced+"/") {
			return OutcomeSoftBounced
		}
		return OutcomeBounced
	case EventTypeComplained:
		return OutcomeComplained
	case EventTypeFailed:
		if strings.HasPrefix(key, EventWordRejected+"/") {
			return OutcomeRejected
		}
		return OutcomeSendFailed
	default:
		return OutcomeQueued
	}
}
