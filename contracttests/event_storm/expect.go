package main

// The order of statuses, written a second time, independently of the server. A message that Failed because we gave
// up ranks below a sent one; a message that SES rejected ranks above a delivered one.
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

// status returns the expected status of a recipient, or of the message when recipient is empty.
func (m *message) status(recipient string) string {
	highest := rankQueued
	for _, one := range m.facts {
		if recipient == "" || one.recipient == "" || one.recipient == recipient {
			highest = max(highest, one.rank())
		}
	}
	return statusOf(highest)
}

// suppressed adds to into the addresses that the message suppresses, each with the reasons that may come first.
func (m *message) suppressed(into map[string][]string) {
	for _, one := range m.facts {
		if one.suppresses != "" {
			into[one.recipient] = append(into[one.recipient], one.suppresses)
		}
	}
}

// told reports whether webhooks receive the event.
func (f fact) told() bool { return f.kind != "email.delayed" }
