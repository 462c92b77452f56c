package mail

// Outcome is the state that events give a message or one of its recipients.
// Events arrive late, twice and in any order; the highest outcome of the stored
// events is shown, so that the order cannot matter ([Higher] compares). The
// numbers are stored: they never change.
type Outcome int16

// The outcomes, the weakest first.
const (
	// OutcomeQueued means that nothing has happened yet.
	OutcomeQueued Outcome = 0
	// OutcomeSendFailed means that we stopped trying. OutcomeSent outranks it: the
	// provider may have accepted the message in an attempt whose response was lost.
	OutcomeSendFailed Outcome = 1
	// OutcomeSent means that the provider accepted the message.
	OutcomeSent Outcome = 2
	// OutcomeDelivered means that the recipient's server accepted the message.
	OutcomeDelivered Outcome = 3
	// OutcomeRejected means that the provider refused the message after accepting it.
	OutcomeRejected Outcome = 4
	// OutcomeBounced means that the recipient's server refused the message.
	OutcomeBounced Outcome = 5
	// OutcomeComplained means that the recipient reported the message as unwanted.
	OutcomeComplained Outcome = 6
	// OutcomeSoftBounced means that something was returned that may be an automatic reply to a delivered message, such as
	// an out-of-office notice. It ranks between OutcomeSent and OutcomeDelivered, whatever its number.
	OutcomeSoftBounced Outcome = 7
)

// Higher returns the outcome of the two that stands. The function higher_outcome of the schema does the same.
func Higher(a, b Outcome) Outcome {
	if a.belowDelivered() && b >= OutcomeDelivered && b != OutcomeSoftBounced {
		return b
	}
	if b.belowDelivered() && a >= OutcomeDelivered && a != OutcomeSoftBounced {
		return a
	}
	return max(a, b)
}

func (o Outcome) belowDelivered() bool { return o < OutcomeDelivered || o == OutcomeSoftBounced }

// HasReason reports whether a message with this outcome shows why.
func (o Outcome) HasReason() bool { return o >= OutcomeRejected || o == OutcomeSendFailed }

// Status returns the outcome as the API shows it. A number that is none of the
// outcomes is "Queued".
func (o Outcome) Status() string {
	switch o {
	case OutcomeSendFailed, OutcomeRejected:
		return "Failed"
	case OutcomeSent:
		return "Sent"
	case OutcomeDelivered:
		return "Delivered"
	case OutcomeBounced, OutcomeSoftBounced:
		return "Bounced"
	case OutcomeComplained:
		return "Complained"
	default:
		return "Queued"
	}
}
