package intake

import (
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/mail"
)

// Message is a message ready to be accepted: parsed, rendered, and within every limit that can be checked without
// the database.
type Message struct {
	OrganizationID uuid.UUID
	APIKeyID       uuid.UUID
	From           mail.Address
	FromName       string
	To             []mail.Address
	Cc             []mail.Address
	Bcc            []mail.Address
	ReplyTo        []mail.Address
	Subject        string
	HTML           string
	Text           string
	Tags           []string
}

// recipients returns the number of emails that the message counts as.
func (message *Message) recipients() int64 {
	return int64(len(message.To) + len(message.Cc) + len(message.Bcc))
}

// Result is the result of a message: ID is set, or Refusal is.
type Result struct {
	ID      uuid.UUID
	Refusal *Refusal
}

// Reason is why a message was refused; its text is the error code of the API.
type Reason string

// The reasons for which an otherwise well-formed message is not accepted.
const (
	KeyNotValid          Reason = "unauthorized"
	OrganizationInactive Reason = "organization-inactive"
	SendingPaused        Reason = "sending-paused"
	DomainNotVerified    Reason = "domain-not-verified"
	RecipientSuppressed  Reason = "recipient-suppressed"
	FreeTierExhausted    Reason = "free-tier-exhausted"
	SpendCapReached      Reason = "spend-cap-reached"
	OrganizationLimit    Reason = "organization-limit"
)

// Refusal describes why a message was not accepted.
type Refusal struct {
	Reason Reason
	// Field is the member of the request that caused the refusal. Empty means none.
	Field string
	// RetryAfter is when the same message may be accepted. Zero means that time alone changes nothing.
	RetryAfter time.Duration
}

// OfOrganization reports whether the refusal is about the key or the organization, and so about every message of the request.
func (refusal *Refusal) OfOrganization() bool {
	switch refusal.Reason {
	case KeyNotValid, OrganizationInactive:
		return true
	case SendingPaused:
		return refusal.Field == ""
	}
	return false
}

// Error makes a Refusal an error, for requests of one message.
func (refusal *Refusal) Error() string { return "message refused: " + string(refusal.Reason) }

// candidate is a message on its way through the transaction.
type candidate struct {
	message    *Message
	result     *Result
	submission *submission
	domainID   uuid.UUID
}

func candidatesOf(group []*submission) []*candidate {
	var all []*candidate
	for _, submitted := range group {
		submitted.results = make([]Result, len(submitted.messages))
		for i := range submitted.messages {
			all = append(all, &candidate{
				message: &submitted.messages[i], result: &submitted.results[i], submission: submitted,
			})
		}
	}
	return all
}

func (c *candidate) refuse(reason Reason, field string) {
	c.result.Refusal = &Refusal{Reason: reason, Field: field}
}

func (c *candidate) refuseFor(wait time.Duration) {
	c.result.Refusal = &Refusal{Reason: OrganizationLimit, RetryAfter: wait}
}

func (c *candidate) refused() bool { return c.result.Refusal != nil }

// remaining returns the candidates that are not refused.
func remaining(all []*candidate) []*candidate {
	kept := make([]*candidate, 0, len(all))
	for _, c := range all {
		if !c.refused() {
			kept = append(kept, c)
		}
	}
	return kept
}
