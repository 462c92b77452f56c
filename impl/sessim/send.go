package sessim

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	opSendEmail = "SendEmail"
	// tagMessageID is the email tag that carries MailStack's own id of a message.
	tagMessageID = "mailstack-message-id"
	// simulatorDomain is the domain of SES's mailbox simulator, to which its users send tests.
	// https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
	simulatorDomain = "@simulator.amazonses.com"
)

// sendRequest is the body of SendEmail, with the API's field names.
type sendRequest struct {
	FromEmailAddress string
	Destination      struct{ ToAddresses, CcAddresses, BccAddresses []string }
	ReplyToAddresses []string
	Content          struct{ Simple *simpleContent }
	EmailTags        []nameValue

	ConfigurationSetName string
	TenantName           string
}

type simpleContent struct {
	Subject *content
	Body    struct {
		Html *content
		Text *content
	}
	Headers     []nameValue
	Attachments []struct {
		FileName, ContentType string
		RawContent            []byte
	}
}

type content struct{ Data string }

func (c *content) data() string {
	if c == nil {
		return ""
	}
	return c.Data
}

type nameValue struct{ Name, Value string }

func (s *Simulator) sendEmail(r *http.Request, body []byte) (any, error) {
	request, err := decode[sendRequest](body)
	if err != nil {
		return nil, err
	}
	p, err := request.check()
	if err != nil {
		return nil, err
	}
	if err := s.checkConfigurationSet(request.ConfigurationSetName); err != nil {
		return nil, err
	}
	sender, err := s.checkIdentities(r.Context(), p)
	if err != nil {
		return nil, err
	}
	if err := s.checkTenant(&request, sender); err != nil {
		return nil, err
	}
	accepted, err := s.accept(&request, sender)
	if err != nil {
		return nil, err
	}
	if err := s.store(&accepted, p); err != nil {
		return nil, err
	}
	if s.onSend != nil {
		s.onSend(accepted)
	}
	s.report(accepted)
	return map[string]string{"MessageId": accepted.ProviderID}, nil
}

// https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors
func (s *Simulator) checkConfigurationSet(name string) error {
	if name == "" {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, ok := s.state.configurationSets[name]; !ok {
		return noConfigurationSet(name)
	}
	return nil
}

// checkIdentities returns the identity that allows the sender's address: the address, its domain, or a parent
// domain. An account in the sandbox needs one for every recipient too.
//   - https://docs.aws.amazon.com/ses/latest/dg/creating-identities.html
//   - https://docs.aws.amazon.com/ses/latest/dg/request-production-access.html
//   - https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html (the text)
func (s *Simulator) checkIdentities(ctx context.Context, p parsed) (identity, error) {
	var failed []string
	sender, ok, err := s.allowing(ctx, p.from)
	if err != nil {
		return sender, err
	}
	if !ok {
		failed = append(failed, p.from)
	}
	s.mu.RLock()
	sandbox := !s.state.account.ProductionAccess
	s.mu.RUnlock()
	for _, address := range p.recipients {
		if !sandbox || strings.HasSuffix(strings.ToLower(address), simulatorDomain) {
			continue
		}
		_, ok, err := s.allowing(ctx, address)
		if err != nil {
			return sender, err
		}
		if !ok {
			failed = append(failed, address)
		}
	}
	if len(failed) > 0 {
		return sender, rejected(fmt.Sprintf("Email address is not verified. The following identities failed the check in region %s: %s",
			strings.ToUpper(s.region), strings.Join(failed, ", ")))
	}
	if sender.MailFrom != "" && sender.MailFromBehavior == rejectMessage && !sender.MailFromProof.ok() {
		return sender, mailFromNotVerified(sender.MailFrom)
	}
	return sender, nil
}

// https://docs.aws.amazon.com/ses/latest/dg/mail-from.html
func mailFromNotVerified(domain string) error {
	return &apiError{
		http.StatusBadRequest, "MailFromDomainNotVerifiedException", fmt.Sprintf("MAIL-FROM domain <%s> is not verified.", domain),
	}
}

// allowing returns the closest verified identity that covers an address, and reports whether there is one.
func (s *Simulator) allowing(ctx context.Context, address string) (identity, bool, error) {
	address = canonical(address)
	_, domain, _ := strings.Cut(address, "@")
	for name := address; name != ""; {
		found, err := s.verifyForSending(ctx, name)
		if err != nil && !isNotFound(err) {
			return identity{}, false, err
		}
		if err == nil && found.Verification.ok() {
			return found, true, nil
		}
		if name == address {
			name = domain
		} else {
			_, name, _ = strings.Cut(name, ".")
		}
	}
	return identity{}, false, nil
}

// verifyForSending is verify, but makes no lookup for an identity that was verified recently.
func (s *Simulator) verifyForSending(ctx context.Context, name string) (identity, error) {
	s.mu.RLock()
	known, ok := s.state.identities[name]
	s.mu.RUnlock()
	if !ok {
		return identity{}, noIdentity(name)
	}
	if known.settled(s.now()) {
		return known, nil
	}
	return s.verify(ctx, name)
}

// accept builds the stored message from a request.
func (s *Simulator) accept(r *sendRequest, sender identity) (Accepted, error) {
	at := s.now().UTC()
	id, err := s.messageID(at)
	if err != nil {
		return Accepted{}, err
	}
	simple := r.Content.Simple
	a := Accepted{
		ProviderID: id,
		ReceivedAt: at,
		From:       r.FromEmailAddress,
		To:         append([]string{}, r.Destination.ToAddresses...),
		Cc:         append([]string{}, r.Destination.CcAddresses...),
		Bcc:        append([]string{}, r.Destination.BccAddresses...),
		ReplyTo:    append([]string{}, r.ReplyToAddresses...),
		Subject:    simple.Subject.Data,
		HTML:       simple.Body.Html.data(),
		Text:       simple.Body.Text.data(),
		Headers:    []Header{}, Tags: []Tag{}, Attachments: []Attachment{}, Suppressed: []string{},
		ConfigurationSet: r.ConfigurationSetName,
		Tenant:           r.TenantName,
		MailFrom:         "amazonses.com",
	}
	if sender.MailFrom != "" && sender.MailFromProof.ok() {
		a.MailFrom = sender.MailFrom
	}
	for _, h := range simple.Headers {
		a.Headers = append(a.Headers, Header(h))
	}
	for _, t := range r.EmailTags {
		a.Tags = append(a.Tags, Tag(t))
		if t.Name == tagMessageID {
			a.MessageID = t.Value
		}
	}
	for _, f := range simple.Attachments {
		a.Attachments = append(a.Attachments, Attachment{f.FileName, f.ContentType, len(f.RawContent)})
	}
	return a, nil
}

// store stores and journals the message if the account may send it now.
func (s *Simulator) store(a *Accepted, p parsed) error {
	s.mu.RLock()
	a.Suppressed = s.suppressedAmong(p.recipients, a.ConfigurationSet)
	s.mu.RUnlock()
	e := entry{At: a.ReceivedAt, Accepted: a}
	var line []byte
	if s.journal != nil {
		var err error
		if line, err = e.line(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayTake(len(p.recipients)); err != nil {
		return err
	}
	return s.commitLine(e, line)
}

// mayTake refuses what the account's state, quota or rate does not allow. The caller holds mu.
//   - https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html#API_SendEmail_Errors
//   - https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html (the texts)
func (s *Simulator) mayTake(recipients int) error {
	a, now := s.state.account, s.now()
	switch {
	case a.EnforcementStatus == statusShutdown:
		return &apiError{http.StatusBadRequest, "AccountSuspendedException", "Account is suspended."}
	case !a.SendingEnabled:
		return &apiError{http.StatusBadRequest, "SendingPausedException", "Email sending is disabled."}
	case a.Max24Hour != unlimited && float64(s.state.day.sent(now)) >= a.Max24Hour:
		return limitExceeded("Daily message quota exceeded.")
	case !s.state.rate.take(now, a.MaxPerSecond, recipients):
		return rateExceeded()
	}
	return nil
}

func rateExceeded() error {
	return &apiError{http.StatusTooManyRequests, codeThrottled, "Maximum sending rate exceeded."}
}

// messageID returns an id in the form of SES's: a constant with the time in milliseconds, a random UUID, and zeros.
func (s *Simulator) messageID(at time.Time) (string, error) {
	var id uuid.UUID
	if err := s.randomBytes(id[:]); err != nil {
		return "", err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4
	ms := at.UnixMilli()
	stamp := []byte{1, 0, byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms)}
	return hex.EncodeToString(stamp) + "-" + id.String() + "-000000", nil
}
