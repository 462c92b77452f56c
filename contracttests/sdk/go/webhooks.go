package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/voostack/mailstack/gen/api"
)

// delivery is what a webhook received.
type delivery struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func (d delivery) header() http.Header {
	header := make(http.Header)
	for name, value := range d.Headers {
		header.Set(name, value)
	}
	return header
}

// event decodes the body that the input holds.
func (r *runner) event() (api.WebhookEvent, error) {
	var event api.WebhookEvent
	given, err := read[delivery](r.input)
	if err != nil {
		return event, err
	}
	if err := json.Unmarshal([]byte(given.Body), &event); err != nil {
		return event, fmt.Errorf("decode an event: %w", err)
	}
	return event, nil
}

func (r *runner) emailEvent(context.Context) (observed, error) {
	decoded, err := r.event()
	if err != nil {
		return nil, err
	}
	value, err := decoded.ValueByDiscriminator()
	if err != nil {
		return nil, err
	}
	event, isEmail := value.(api.WebhookEmailEvent)
	if !isEmail {
		return nil, fmt.Errorf("the event was decoded as %T", value)
	}
	return observed{
		"id": event.ID, "type": event.Type, "createdAt": event.CreatedAt, "emailId": event.Data.ID,
		"fromEmail": event.Data.FromEmail, "toEmail": event.Data.ToEmail, "subject": event.Data.Subject, "tags": event.Data.Tags,
		"status": event.Data.Status, "errorMessage": event.Data.ErrorMessage,
		"providerMessageId": event.Data.ProviderMessageID, "bounceType": event.Data.Details.BounceType,
	}, nil
}

func (r *runner) domainEvent(context.Context) (observed, error) {
	decoded, err := r.event()
	if err != nil {
		return nil, err
	}
	value, err := decoded.ValueByDiscriminator()
	if err != nil {
		return nil, err
	}
	event, isDomain := value.(api.WebhookDomainEvent)
	if !isDomain {
		return nil, fmt.Errorf("the event was decoded as %T", value)
	}
	return observed{
		"id": event.ID, "type": event.Type, "createdAt": event.CreatedAt, "domainId": event.Data.ID,
		"domain": event.Data.Domain, "status": event.Data.Status, "statusReason": event.Data.StatusReason,
	}, nil
}

// futureEvent decodes into the type that the step names: the client has no type for an unknown event.
func (r *runner) futureEvent(context.Context) (observed, error) {
	decoded, err := r.event()
	if err != nil {
		return nil, err
	}
	event, err := decoded.AsWebhookEmailEvent()
	if err != nil {
		return nil, err
	}
	return observed{
		"id": event.ID, "type": event.Type, "createdAt": event.CreatedAt, "emailId": event.Data.ID,
		"toEmail": event.Data.ToEmail, "subject": event.Data.Subject, "status": event.Data.Status,
	}, nil
}

// accept verifies every delivery of the input.
func (r *runner) accept(genuine func(delivery) (bool, error)) (observed, error) {
	given, err := read[struct {
		Deliveries []delivery `json:"deliveries"`
	}](r.input)
	if err != nil {
		return nil, err
	}
	accepted := make([]bool, 0, len(given.Deliveries))
	for _, one := range given.Deliveries {
		is, err := genuine(one)
		if err != nil {
			return nil, err
		}
		accepted = append(accepted, is)
	}
	return observed{"accepted": accepted}, nil
}

func (r *runner) verify(context.Context) (observed, error) {
	return r.accept(func(one delivery) (bool, error) {
		verifier, err := standardwebhooks.NewWebhook(one.Secret)
		if err != nil {
			return false, fmt.Errorf("read the secret: %w", err)
		}
		return verifier.Verify([]byte(one.Body), one.header()) == nil, nil
	})
}

func (r *runner) verifyBody(context.Context) (observed, error) {
	return r.accept(func(one delivery) (bool, error) {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(one.Secret, "whsec_"))
		if err != nil {
			return false, fmt.Errorf("read the secret: %w", err)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(one.Body))
		return hmac.Equal([]byte(one.Headers["X-MailStack-Signature"]), []byte(hex.EncodeToString(mac.Sum(nil)))), nil
	})
}
