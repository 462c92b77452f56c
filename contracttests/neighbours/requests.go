package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/apikey"
)

type object = map[string]any

// ask makes a request, counts its status, and decodes the body of a success into out unless out is nil.
func (a *attacker) ask(ctx context.Context, method, path, key string, body []byte, out any, headers ...string) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+a.Address+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := a.client.Do(request)
	if err != nil {
		if ctx.Err() == nil {
			a.note("broken")
		}
		return err
	}
	defer func() { _ = response.Body.Close() }()
	a.note(strconv.Itoa(response.StatusCode))
	if response.StatusCode >= http.StatusBadRequest {
		_, _ = io.Copy(io.Discard, response.Body)
		return errRefused
	}
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	return json.NewDecoder(response.Body).Decode(out)
}

func encoded(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // only strings, numbers, maps and lists are encoded
	}
	return text
}

func email(from string, number int) object {
	return object{
		"from": "hello@" + from, "to": fmt.Sprintf("user%d@example.com", number), "subject": "Welcome", "text": "Hello there.",
		"tags": "tag" + strconv.Itoa(number%10),
	}
}

func batch(from string, size int) []byte {
	items := make([]object, size)
	for i := range items {
		items[i] = email(from, i)
	}
	return encoded(object{"emails": items})
}

const (
	sendPath  = "/v1/emails"
	batchPath = "/v1/emails/batch"
	fullBatch = 100
)

// posting returns an attack that posts the same body as fast as it is answered.
func posting(a *attacker, path string, tenant harness.Tenant, connections int, body []byte) strike {
	return func(ctx context.Context) {
		repeat(ctx, connections, func(ctx context.Context, _ int) error {
			return a.ask(ctx, http.MethodPost, path, tenant.Key, body, nil)
		})
	}
}

// unknownKeys guesses keys.
func unknownKeys(_ context.Context, a *attacker) (strike, error) {
	return func(ctx context.Context) {
		repeat(ctx, 2*flood, func(ctx context.Context, _ int) error {
			guess, err := apikey.New(rand.Reader)
			if err != nil {
				return err
			}
			// A refused guess is followed by the next one at once.
			_ = a.ask(ctx, http.MethodGet, "/v1/domains", guess.Reveal(), nil, nil)
			return nil
		})
	}, nil
}

func floodOfSends(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	return posting(a, sendPath, tenant, flood, encoded(email(tenant.Domain, 1))), err
}

func floodOfBatches(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	return posting(a, batchPath, tenant, flood, batch(tenant.Domain, fullBatch)), err
}

// floodOfRejectedBatches posts batches of which every item is refused, some by the schema and some by their domain.
func floodOfRejectedBatches(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	items := make([]object, fullBatch)
	for i := range items {
		items[i] = email(strconv.Itoa(i)+".unverified.test", i)
		if i%2 == 0 {
			items[i]["unknown"] = strings.Repeat("x", 1000)
		}
	}
	return posting(a, batchPath, tenant, flood, encoded(object{"emails": items})), err
}

// floodOfIdempotencyKeys sends each message under a key of its own, and some requests under one that is in progress.
func floodOfIdempotencyKeys(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	body := encoded(email(tenant.Domain, 1))
	return func(ctx context.Context) {
		repeat(ctx, flood, func(ctx context.Context, number int) error {
			key := "key-" + strconv.Itoa(number)
			if number%4 == 0 {
				key = "shared-" + strconv.Itoa(number/1000)
			}
			return a.ask(ctx, http.MethodPost, sendPath, tenant.Key, body, nil, "Idempotency-Key", key)
		})
	}, err
}

// dearTemplates posts small batches whose rendering takes as many steps as a template may.
func dearTemplates(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	list := make([]int, 60)
	text := strings.Repeat("{{#a}}", 3) + "x" + strings.Repeat("{{/a}}", 3)
	items := make([]object, 20)
	for i := range items {
		items[i] = email(tenant.Domain, i)
		items[i]["subject"], items[i]["text"], items[i]["html"] = "Welcome", text, text
		items[i]["variables"] = object{"a": list}
	}
	return posting(a, batchPath, tenant, flood/4, encoded(object{"emails": items})), err
}

func floodOfReads(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	if err != nil {
		return nil, err
	}
	paths := []string{"/v1/emails", "/v1/domains", "/v1/api-keys", "/v1/suppressions", "/v1/templates", "/v1/webhooks", "/v1/billing/usage"}
	return func(ctx context.Context) {
		repeat(ctx, 2*flood, func(ctx context.Context, number int) error {
			return a.ask(ctx, http.MethodGet, paths[number%len(paths)], tenant.Key, nil, nil)
		})
	}, nil
}

// floodOfVerifications has the DNS records of a domain looked up again and again.
func floodOfVerifications(ctx context.Context, a *attacker) (strike, error) {
	tenant, err := a.tenant(ctx)
	return func(ctx context.Context) {
		repeat(ctx, flood, func(ctx context.Context, number int) error {
			if number%2 == 0 {
				return a.ask(ctx, http.MethodPost, "/v1/domains/"+tenant.DomainID.String()+"/verify", tenant.Key, nil, nil)
			}
			var made struct{ ID string }
			name := fmt.Sprintf("d%d.%s", number, tenant.Domain)
			if err := a.ask(ctx, http.MethodPost, "/v1/domains", tenant.Key, encoded(object{"domain": name}), &made); err != nil {
				return err
			}
			return a.ask(ctx, http.MethodDelete, "/v1/domains/"+made.ID, tenant.Key, nil, nil)
		})
	}, err
}
