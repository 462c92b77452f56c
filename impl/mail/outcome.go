package mail

// Outcome is the state that events give a message or one of its recipients.
// Events arrive late, twice and in any order; the highest outcome of the stored
// events is shown, so that the order cannot matter. The numbers are stored: they
// never change.
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
)

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
	case OutcomeBounced:
		return "Bounced"
	case OutcomeComplained:
		return "Complained"
	default:
		return "Queued"
	}
}
