package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const mostRecipients = 3

// message is a message with its planned events.
type message struct {
	number     int
	recipients []string
	// id is ours, providerID is SES's, sentAt is when SES accepted the message.
	id, providerID string
	sentAt         time.Time

	facts  []fact
	events []string
	// moment gives every event a time of its own, in milliseconds since sentAt.
	moment int
}

// fact is an event that the server must store for the message, once.
type fact struct {
	kind string
	// recipient is empty when the event concerns all recipients, or cannot be attributed to one.
	recipient string
	at        time.Time
	// rejected marks a rejection, the only failure that SES reports.
	rejected bool
	// suppresses is the reason to suppress the recipient; empty means none.
	suppresses string
}

// planRecipients makes messages to addresses that no other message has, so that none suppresses another's.
func planRecipients(random *rand.Rand, count int) []*message {
	messages := make([]*message, count)
	for i := range messages {
		messages[i] = &message{number: i}
		for j := range 1 + random.IntN(mostRecipients) {
			messages[i].recipients = append(messages[i].recipients, fmt.Sprintf("storm-%d-%d@example.com", i, j))
		}
	}
	return messages
}

// planFacts decides the events of the message. Any events may come together: combinations that SES would never
// report must not break the rules either.
func (m *message) planFacts(random *rand.Rand) {
	chance := func(percent int) bool { return random.IntN(100) < percent }
	// Our own worker stores email.sent; the event of SES reports the same.
	m.facts = append(m.facts, fact{kind: "email.sent"})
	if chance(90) {
		m.report("Send", "send", map[string]any{}, chance(5))
	}
	if chance(2) {
		m.facts = append(m.facts, fact{kind: "email.failed", at: m.sentAt, rejected: true})
		m.report("Reject", "reject", map[string]any{"reason": "Bad content"}, chance(5))
	}
	m.planDeliveries(random)
	for _, recipient := range m.recipients {
		for range 2 {
			if chance(7) {
				m.delay(recipient)
			}
		}
		if chance(7) {
			m.bounce(recipient, "Transient", "MailboxFull")
		}
		if chance(7) {
			m.bounce(recipient, "Permanent", "General")
		}
		if chance(2) {
			m.bounce(recipient, "Permanent", "OnAccountSuppressionList")
		}
		if chance(5) {
			m.complain(recipient)
		}
	}
	for range random.IntN(3) {
		if chance(30) {
			m.interest("email.opened", "Open", "open")
		}
		if chance(15) {
			m.interest("email.clicked", "Click", "click")
		}
	}
}

// planDeliveries reports recipients together or each alone.
func (m *message) planDeliveries(random *rand.Rand) {
	var reached []string
	for _, recipient := range m.recipients {
		if random.IntN(100) < 70 {
			reached = append(reached, recipient)
		}
	}
	size := 1
	if random.IntN(2) == 0 {
		size = mostRecipients
	}
	for together := range slices.Chunk(reached, size) {
		at := m.next()
		for _, recipient := range together {
			m.facts = append(m.facts, fact{kind: "email.delivered", recipient: recipient, at: at})
		}
		m.report("Delivery", "delivery", map[string]any{
			"timestamp": stamp(at), "recipients": together, "smtpResponse": "250 ok",
		}, random.IntN(20) == 0)
	}
}

func (m *message) delay(recipient string) {
	at := m.next()
	m.facts = append(m.facts, fact{kind: "email.delayed", recipient: recipient, at: at})
	m.report("DeliveryDelay", "deliveryDelay", map[string]any{
		"timestamp": stamp(at), "delayType": "MailboxFull",
		"delayedRecipients": []map[string]string{{"emailAddress": recipient, "status": "4.2.2", "diagnosticCode": "smtp; 452 full"}},
	}, false)
}

func (m *message) bounce(recipient, kind, subtype string) {
	at := m.next()
	bounced := fact{kind: "email.bounced", recipient: recipient, at: at}
	if kind == "Permanent" && subtype == "General" {
		bounced.suppresses = "Bounce"
	}
	m.facts = append(m.facts, bounced)
	m.report("Bounce", "bounce", map[string]any{
		"timestamp": stamp(at), "bounceType": kind, "bounceSubType": subtype, "feedbackId": m.feedback(),
		"bouncedRecipients": []map[string]string{{"emailAddress": recipient, "status": "5.1.1", "diagnosticCode": "smtp; 550 no"}},
	}, false)
}

func (m *message) complain(recipient string) {
	at := m.next()
	m.facts = append(m.facts, fact{kind: "email.complained", recipient: recipient, at: at, suppresses: "Complaint"})
	m.report("Complaint", "complaint", map[string]any{
		"timestamp": stamp(at), "feedbackId": m.feedback(), "complaintFeedbackType": "abuse",
		"complainedRecipients": []map[string]string{{"emailAddress": recipient}},
	}, false)
}

// interest adds an open or a click. With several recipients it cannot be attributed to one.
func (m *message) interest(kind, eventType, member string) {
	at := m.next()
	seen := fact{kind: kind, at: at}
	if len(m.recipients) == 1 {
		seen.recipient = m.recipients[0]
	}
	m.facts = append(m.facts, seen)
	m.report(eventType, member, map[string]any{
		"timestamp": stamp(at), "ipAddress": "192.0.2.1", "userAgent": "Mail", "link": "https://example.com/",
	}, false)
}

func (m *message) next() time.Time {
	m.moment++
	return m.sentAt.Add(time.Duration(m.moment) * time.Millisecond)
}

func (m *message) feedback() string { return fmt.Sprintf("%s-feedback-%d", m.providerID, m.moment) }

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
