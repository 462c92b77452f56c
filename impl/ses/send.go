package ses

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/google/uuid"
)

const (
	opSendEmail = "SendEmail"
	// TagMessageID is the email tag that carries our message id, so that events can be matched to a message even
	// when SES's response to the send was lost.
	TagMessageID = "mailstack-message-id"
	// TagProbe is the email tag of a probe: a message sent only to see its events come back.
	TagProbe = "mailstack-probe"
	charset  = "UTF-8"
)

// Message is one email for SES to send.
type Message struct {
	ID       uuid.UUID // ours, sent as the email tag TagMessageID
	From     string    // a bare address
	FromName string    // any text; encoded as in RFC 2047
	// To, Cc, Bcc and ReplyTo are addresses with or without a display name; at most 50 recipients.
	To, Cc, Bcc, ReplyTo []string
	Subject, HTML, Text  string
	// Tags are the user's and are not sent to SES: an SES tag allows no '.', and its values feed metrics that AWS
	// bills.
	Tags []string
	// Tenant is the tenant that sends the message. Empty means none.
	Tenant string
	// Probe marks a probe, which is no stored message: ID is sent as the tag TagProbe instead.
	Probe bool
}

// Send makes exactly one attempt to send m and returns SES's message id. Every error is an *Error; after one of
// class Ambiguous the message may have been sent.
func (c *Client) Send(ctx context.Context, m Message) (string, error) {
	input, err := sendInput(m, c.configurationSet)
	if err != nil {
		return "", &Error{Op: opSendEmail, Class: Rejected, Detail: err.Error(), Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, a := trackWire(ctx)
	out, err := c.sender.SendEmail(ctx, input)
	if err != nil {
		return "", newError(ctx, opSendEmail, a, err)
	}
	if aws.ToString(out.MessageId) == "" {
		err := errors.New("the answer holds no message id")
		return "", &Error{Op: opSendEmail, Class: Ambiguous, Detail: Ambiguous.explanation(), Err: err}
	}
	return *out.MessageId, nil
}

func sendInput(m Message, configurationSet string) (*sesv2.SendEmailInput, error) {
	lists := [4][]string{m.To, m.Cc, m.Bcc, m.ReplyTo}
	for i, list := range lists {
		encoded, err := encodeAddresses(list)
		if err != nil {
			return nil, err
		}
		lists[i] = encoded
	}
	input := &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(formatAddress(m.FromName, m.From)),
		Destination:      &types.Destination{ToAddresses: lists[0], CcAddresses: lists[1], BccAddresses: lists[2]},
		ReplyToAddresses: lists[3],
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: content(m.Subject),
			Body:    &types.Body{},
		}},
		EmailTags: []types.MessageTag{{Name: aws.String(TagMessageID), Value: aws.String(m.ID.String())}},
	}
	if m.Probe {
		input.EmailTags[0].Name = aws.String(TagProbe)
	}
	if m.HTML != "" {
		input.Content.Simple.Body.Html = content(m.HTML)
	}
	if m.Text != "" {
		input.Content.Simple.Body.Text = content(m.Text)
	}
	if m.Tenant != "" {
		input.TenantName = aws.String(m.Tenant)
	}
	if configurationSet != "" {
		input.ConfigurationSetName = aws.String(configurationSet)
	}
	return input, nil
}

func content(data string) *types.Content {
	return &types.Content{Data: aws.String(data), Charset: aws.String(charset)}
}

// encodeAddresses keeps an ASCII address unchanged and encodes the display name of any other: a header field may
// contain ASCII only (RFC 5322, RFC 2047).
func encodeAddresses(list []string) ([]string, error) {
	out := make([]string, 0, len(list))
	for _, given := range list {
		if isASCII(given) {
			out = append(out, given)
			continue
		}
		address, err := mail.ParseAddress(given)
		if err != nil {
			return nil, fmt.Errorf("parse a recipient's address: %w", err)
		}
		out = append(out, formatAddress(address.Name, address.Address))
	}
	return out, nil
}

func formatAddress(name, address string) string {
	if name == "" {
		return address
	}
	return (&mail.Address{Name: name, Address: address}).String()
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
