// Package sns parses and verifies the messages that Amazon SNS posts over HTTP.
//
//   - message.go: parsing, and the text of a message that SNS signs
//   - verify.go: which messages are accepted: topic, certificate host, signature
//   - host.go: hosts and certificate names of each region and partition
//   - certificate.go: fetching and caching certificates; chain.go: who issued them; confirming a subscription
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

// MaxBytes is larger than any body that SNS posts: a message of at most 256 KiB, escaped, and its envelope.
const MaxBytes = 512 << 10

// The types of a message.
const (
	TypeNotification             = "Notification"
	TypeSubscriptionConfirmation = "SubscriptionConfirmation"
	TypeUnsubscribeConfirmation  = "UnsubscribeConfirmation"
)

// maxID bounds the id of a message, in bytes; SNS uses UUIDs.
const maxID = 100

// Message is a message as SNS posts it, with the field names of its documentation.
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

// Parse parses a message. Its errors wrap ErrMalformed.
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

// signedText returns the text that SNS signs: the names and values of the signed fields, sorted by name, with a
// newline after each name and each value, including the last.
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

// LoggableTopicARN returns arn if it has the shape of a topic's ARN, and otherwise a placeholder, so that strangers
// cannot write to the log.
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
