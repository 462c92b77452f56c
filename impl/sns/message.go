// Package sns receives what Amazon SNS posts over HTTP: it reads the messages and tells the genuine ones from all
// others.
//
//   - message.go: the messages, and the text of each that is signed
//   - verify.go: whose messages are taken: topic, host of the certificate, signature
//   - certificate.go: the certificates, fetched and kept; confirming a subscription
//
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
package sns

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxBytes is more than a body that SNS posts can have: a message of at most 256 KiB, escaped, and what is around it.
const MaxBytes = 512 << 10

// The types of messages.
const (
	TypeNotification             = "Notification"
	TypeSubscriptionConfirmation = "SubscriptionConfirmation"
	TypeUnsubscribeConfirmation  = "UnsubscribeConfirmation"
)

// maxID bounds the id of a message, in bytes; SNS makes UUIDs.
const maxID = 100

// Message is what SNS posts, under the names of its documentation.
type Message struct {
	Type             string
	MessageId        string
	TopicArn         string
	Subject          *string
	Message          string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	Token            string
	SubscribeURL     string
}

// Parse reads a message. Errors are of the kind ErrMalformed.
func Parse(body []byte) (Message, error) {
	var message Message
	if len(body) > MaxBytes {
		return message, malformed(errors.New("it is too large"))
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return message, malformed(errors.New("it is not a JSON document of SNS"))
	}
	switch message.Type {
	case TypeNotification, TypeSubscriptionConfirmation, TypeUnsubscribeConfirmation:
	default:
		return message, malformed(errors.New("its type is unknown"))
	}
	if message.MessageId == "" || len(message.MessageId) > maxID || strings.ContainsRune(message.MessageId, 0) {
		return message, malformed(errors.New("its MessageId is missing or too long"))
	}
	return message, nil
}

func malformed(why error) error { return fmt.Errorf("%w: %w", ErrMalformed, why) }

// signedText is the text that SNS signs: the names and values of the members that count, in the order of their names,
// each followed by a newline, the last one too.
func (m *Message) signedText() []byte {
	var text strings.Builder
	write := func(name, value string) {
		text.WriteString(name)
		text.WriteByte('\n')
		text.WriteString(value)
		text.WriteByte('\n')
	}
	notification := m.Type == TypeNotification
	write("Message", m.Message)
	write("MessageId", m.MessageId)
	if notification && m.Subject != nil {
		write("Subject", *m.Subject)
	}
	if !notification {
		write("SubscribeURL", m.SubscribeURL)
	}
	write("Timestamp", m.Timestamp)
	if !notification {
		write("Token", m.Token)
	}
	write("TopicArn", m.TopicArn)
	write("Type", m.Type)
	return []byte(text.String())
}

// LoggableTopicARN returns an ARN as it is, where it has the shape of a topic's, for a log that others must not write.
func LoggableTopicARN(arn string) string {
	parts := strings.Split(arn, ":")
	named := func(part string) bool {
		return !strings.ContainsFunc(part, func(c rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", c)
		})
	}
	if len(parts) != 6 || len(arn) > 400 || parts[0] != "arn" || parts[2] != "sns" || slices.ContainsFunc(parts, func(p string) bool { return !named(p) }) {
		return "(not a topic)"
	}
	return arn
}
