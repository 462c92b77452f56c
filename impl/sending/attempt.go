package sending

import (
	"context"
	"runtime/debug"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/sending/results"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/workqueue"
)

// message is one claimed message and what its sending needs.
type message struct {
	send db.SendClaimRow
	// loaded is nil when retention has dropped the message.
	loaded     *db.SendLoadRow
	recipients []db.SendRecipientsRow
	// body is nil until it is read. held means that the budget holds room for it.
	body *body
	held bool
	// skip is the result of a message that must not be sent; nil means that it is sent.
	skip *results.Result
}

// cost returns what the message takes of the account's quota, in recipients.
func (m message) cost() float64 {
	if m.skip != nil {
		return 0
	}
	return float64(max(1, len(m.recipients)))
}

// costs returns what each message takes of the quota.
func costs(group []message) []float64 {
	all := make([]float64, len(group))
	for i := range group {
		all[i] = group[i].cost()
	}
	return all
}

// handle makes one attempt and stores its result.
func (s *Sender) handle(ctx context.Context, m message) {
	one := &results.Settlement{Send: m.send, Result: s.attempt(ctx, &m)}
	s.releaseBody(&m)
	if m.loaded != nil {
		one.DomainID = m.loaded.Email.DomainID
	}
	for _, recipient := range m.recipients {
		one.Positions = append(one.Positions, recipient.Position)
	}
	// The result must be stored even when the time for the attempt is over.
	s.settler.Settle(context.WithoutCancel(ctx), one)
}

// attempt sends the message unless it is to be skipped. A panic fails this message's attempt and no other's.
func (s *Sender) attempt(ctx context.Context, m *message) (result results.Result) {
	handedOver := false
	defer func() {
		if v := recover(); v != nil {
			s.config.Log.ErrorContext(ctx, "sending a message panicked", "message_id", m.send.EmailID,
				"panic", workqueue.PanicText(v), "stack", string(debug.Stack()))
			result = s.retryUnknown(ctx, m.send.Attempt, handedOver)
		}
	}()
	if m.skip != nil {
		return *m.skip
	}
	if ctx.Err() != nil {
		// The process is stopping: no time is left for an attempt.
		return results.Result{Disposition: results.Retry, DueAt: s.config.Now()}
	}
	if result := s.readBody(ctx, m); result != nil {
		return *result
	}
	if tooLate(ctx) {
		return results.Result{Disposition: results.Retry, DueAt: s.config.Now()}
	}
	composed := content(m)
	handedOver = true
	providerMessageID, err := s.callSES(ctx, m, composed)
	if err != nil && composed.Tenant != "" {
		if refused := s.classifyTenant(ctx, m.send, err); refused != nil {
			return *refused
		}
	}
	return s.classify(ctx, m.send, providerMessageID, err)
}

// callSES makes the call of an attempt, within a span when there is a tracer.
func (s *Sender) callSES(ctx context.Context, m *message, content ses.Message) (string, error) {
	if s.config.Tracer == nil {
		return s.config.SES.Send(ctx, content)
	}
	ctx, ended := s.config.Tracer.Send(ctx, m.send.Traceparent, m.send.EmailID, m.send.Attempt)
	providerMessageID, err := s.config.SES.Send(ctx, content)
	ended(err)
	return providerMessageID, err
}

func content(m *message) ses.Message {
	email := &m.loaded.Email
	composed := ses.Message{
		ID:       email.ID,
		From:     email.FromEmail,
		FromName: email.FromName,
		Subject:  email.Subject,
		HTML:     m.body.html,
		Text:     m.body.text,
		Tags:     email.Tags,
	}
	if m.loaded.HasTenant {
		composed.Tenant = ses.TenantName(email.OrganizationID)
	}
	for _, recipient := range m.recipients {
		written := formatAddress(recipient.Name, recipient.Address)
		switch recipient.Kind {
		case "to":
			composed.To = append(composed.To, written)
		case "cc":
			composed.Cc = append(composed.Cc, written)
		default:
			composed.Bcc = append(composed.Bcc, written)
		}
	}
	// Acceptance has parsed the list before. The only error left is an empty list, which means no Reply-To.
	replyTo, _ := mail.ParseList(email.ReplyTo)
	for _, address := range replyTo {
		composed.ReplyTo = append(composed.ReplyTo, address.String())
	}
	return composed
}

// formatAddress returns a display name and a bare address in the form for a header. An address that does not parse
// goes to SES as it is.
func formatAddress(name, address string) string {
	parsed, err := mail.ParseAddress(address)
	if err != nil {
		return address
	}
	parsed.Name = name
	return parsed.String()
}
