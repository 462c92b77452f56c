package mail

// Outcome is a fact about a message or one of its recipients. Facts arrive
// late, twice and in any order; what is shown is the highest of those stored,
// so that the order cannot matter. The numbers are stored: they never change.
type Outcome int16

// The outcomes, the weakest first.
const (
	// OutcomeQueued: nothing has happened yet.
	OutcomeQueued Outcome = 0
	// OutcomeSendFailed: we stopped trying. A provider that accepted the message
	// all the same (its answer was lost) outranks it.
	OutcomeSendFailed Outcome = 1
	// OutcomeSent: the provider accepted the message.
	OutcomeSent Outcome = 2
	// OutcomeDelivered: the recipient's server accepted the message.
	OutcomeDelivered Outcome = 3
	// OutcomeRejected: the provider refused the message after accepting it.
	OutcomeRejected Outcome = 4
	// OutcomeBounced: the recipient's server refused the message.
	OutcomeBounced Outcome = 5
	// OutcomeComplained: the recipient reported the message as unwanted.
	OutcomeComplained Outcome = 6
)

// Status is the outcome as the API shows it. A number that is none of the
// outcomes is "Queued".
func (o Outcome) Status() string {
	switch o {
	case OutcomeSendFailed, OutcomeRejected:
		return "Failed"
	case OutcomeSent:
		return "Sent"
	case OutcomeDelivered:
		return "Delivered"
	case OutcomeBounced:
		return "Bounced"
	case OutcomeComplained:
		return "Complained"
	default:
		return "Queued"
	}
}
