package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/voostack/mailstack/gen/api"
)

// deliveryLimit bounds the wait for one delivery.
const deliveryLimit = 2 * time.Minute

// delivery is a webhook request as the server posted it.
type delivery struct {
	header http.Header
	body   []byte
}

// values returns the parts of a delivery, by their names in the scenario.
func (d delivery) values(prefix string) (map[string]string, error) {
	var event struct {
		CreatedAt string `json:"createdAt"`
	}
	if err := json.Unmarshal(d.body, &event); err != nil {
		return nil, fmt.Errorf("read a delivery: %w", err)
	}
	return map[string]string{
		prefix + ".id":        d.header.Get("webhook-id"),
		prefix + ".timestamp": d.header.Get("webhook-timestamp"),
		prefix + ".signature": d.header.Get("webhook-signature"),
		prefix + ".hmac":      d.header.Get("X-MailStack-Signature"),
		prefix + ".body":      string(d.body),
		prefix + ".createdAt": event.CreatedAt,
	}, nil
}

// deliver makes the server post events to a receiver in this process. It uses an organization of its own, so that
// the counts in the runner's organization stay as they are. The values are the deliveries, altered copies of them,
// and the secrets.
func deliver(ctx context.Context, s *server, name string) (map[string]string, error) {
	arrived := make(chan delivery, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		arrived <- delivery{request.Header, body}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*deliveryLimit)
	defer cancel()

	key, err := s.organization(ctx, name+"-webhooks")
	if err != nil {
		return nil, err
	}
	client, err := s.client(key)
	if err != nil {
		return nil, err
	}
	created, err := client.CreateWebhookWithResponse(ctx, nil, api.CreateWebhookRequest{
		URL: receiver.URL, Events: []api.WebhookEventType{api.WebhookEventTypeEmailBounced, api.WebhookEventTypeDomainVerified},
	})
	if err != nil || created.JSON201 == nil {
		return nil, fmt.Errorf("create a webhook: %w", unexpected(err, created))
	}
	domain, err := s.verifiedDomain(ctx, client, name+"-webhooks.test")
	if err != nil {
		return nil, err
	}
	verified, err := next(ctx, arrived)
	if err != nil {
		return nil, fmt.Errorf("wait for domain.verified: %w", err)
	}
	// From here on there are two secrets, and two signatures in each delivery.
	rotated, err := client.RotateWebhookSecretWithResponse(ctx, created.JSON201.ID)
	if err != nil || rotated.JSON200 == nil {
		return nil, fmt.Errorf("rotate the secret: %w", unexpected(err, rotated))
	}
	sent, err := client.SendEmailWithResponse(ctx, nil, api.SendEmailRequest{
		From: "hello@" + domain.Domain, To: "bounce@simulator.amazonses.com", Subject: "Ünï <b>", Text: "Hi",
	})
	if err != nil || sent.JSON202 == nil {
		return nil, fmt.Errorf("send a message that bounces: %w", unexpected(err, sent))
	}
	bounced, err := next(ctx, arrived)
	if err != nil {
		return nil, fmt.Errorf("wait for email.bounced: %w", err)
	}
	values := map[string]string{
		"secret": rotated.JSON200.SigningSecret, "previousSecret": created.JSON201.SigningSecret,
		"verified.domain": domain.Domain, "verified.domainId": domain.ID.String(),
		"bounced.from": "hello@" + domain.Domain, "bounced.emailId": sent.JSON202.ID.String(),
		"altered.body": string(bytes.Replace(bounced.body, []byte(`"Bounced"`), []byte(`"Delivered"`), 1)),
		"future.body":  futureEvent,
	}
	return values, errors.Join(addDelivery(values, "verified", verified), addDelivery(values, "bounced", bounced), addStale(values))
}

func addDelivery(values map[string]string, prefix string, one delivery) error {
	parts, err := one.values(prefix)
	maps.Copy(values, parts)
	return err
}

// addStale signs the bounce as of six minutes ago: the signature is right, and the delivery a replay.
func addStale(values map[string]string) error {
	signer, err := standardwebhooks.NewWebhook(values["secret"])
	if err != nil {
		return fmt.Errorf("read the secret: %w", err)
	}
	at := time.Now().Add(-6 * time.Minute)
	signature, err := signer.Sign(values["bounced.id"], at, []byte(values["bounced.body"]))
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	values["stale.timestamp"], values["stale.signature"] = strconv.FormatInt(at.Unix(), 10), signature
	return nil
}

func next(ctx context.Context, arrived <-chan delivery) (delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, deliveryLimit)
	defer cancel()
	select {
	case one := <-arrived:
		return one, nil
	case <-ctx.Done():
		return delivery{}, ctx.Err()
	}
}

// unexpected returns the error of a call, or an error with the status of the response.
func unexpected(err error, answer interface{ Status() string }) error {
	if err != nil {
		return err
	}
	return errors.New(answer.Status())
}
