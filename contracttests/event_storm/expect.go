package main

// The order of contract.md, written once more: a message that is Failed since we gave up is below one that was sent, and
// one that SES rejected is above one that was delivered.
const (
	rankQueued = iota
	rankSent
	rankDelivered
	rankRejected
	rankBounced
	rankComplained
)

func (f fact) rank() int {
	switch {
	case f.rejected:
		return rankRejected
	case f.kind == "email.sent":
		return rankSent
	case f.kind == "email.delivered":
		return rankDelivered
	case f.kind == "email.bounced":
		return rankBounced
	case f.kind == "email.complained":
		return rankComplained
	default:
		return rankQueued
	}
}

func statusOf(rank int) string {
	return [...]string{"Queued", "Sent", "Delivered", "Failed", "Bounced", "Complained"}[rank]
}

// status is what a recipient shows; of an empty one, the message.
func (m *message) status(recipient string) string {
	highest := rankQueued
	for _, one := range m.facts {
		if recipient == "" || one.recipient == "" || one.recipient == recipient {
			highest = max(highest, one.rank())
		}
	}
	return statusOf(highest)
}

// suppressed adds the addresses that the message suppresses, each with the reasons that may be first.
func (m *message) suppressed(into map[string][]string) {
	for _, one := range m.facts {
		if one.suppresses != "" {
			into[one.recipient] = append(into[one.recipient], one.suppresses)
		}
	}
}

// told is whether webhooks are told of it.
func (f fact) told() bool { return f.kind != "email.delayed" }
