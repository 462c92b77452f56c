package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// perSecond is how often the quiet organization sends, and how often it reads.
	perSecond = 10
	// clientTimeout bounds its requests.
	clientTimeout = 20 * time.Second
)

// quiet is the organization that lives beside the attackers. As an HTTP handler it is the receiver of its own webhook.
type quiet struct {
	address string
	tenant  harness.Tenant
	client  *http.Client

	mutex sync.Mutex
	found lived
	// accepted holds when messages were accepted whose webhook has not come; early when webhooks came whose response had
	// not.
	accepted, early map[string]time.Time
	last            string
}

func newQuiet() *quiet {
	return &quiet{
		client:   &http.Client{Timeout: clientTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 4 * perSecond}},
		accepted: map[string]time.Time{}, early: map[string]time.Time{},
	}
}

// settle registers the webhook of the organization.
func (q *quiet) settle(ctx context.Context, address string, tenant harness.Tenant, receiver string) error {
	q.address, q.tenant = address, tenant
	_, err := q.call(ctx, http.MethodPost, "/v1/webhooks", map[string]any{"url": receiver, "events": []string{"email.sent"}}, http.StatusCreated)
	return err
}

// live sends and reads at an even pace for a while, waits for the webhooks, and returns what it met. It begins requests when
// they are due, whether or not earlier ones have ended.
func (q *quiet) live(ctx context.Context, duration time.Duration) (lived, error) {
	q.mutex.Lock()
	q.found = lived{}
	clear(q.accepted)
	clear(q.early)
	q.mutex.Unlock()
	ticker := time.NewTicker(time.Second / perSecond)
	defer ticker.Stop()
	var requests sync.WaitGroup
	for began := time.Now(); time.Since(began) < duration; {
		select {
		case <-ctx.Done():
			return lived{}, ctx.Err()
		case <-ticker.C:
		}
		requests.Go(func() { q.timed(ctx, q.send) })
		requests.Go(func() { q.timed(ctx, q.read) })
	}
	requests.Wait()
	q.awaitWebhooks(ctx)
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for id, at := range q.accepted {
		q.found.failed = append(q.found.failed, fmt.Sprintf("no webhook for %s within %s", id, time.Since(at).Round(time.Second)))
		q.found.webhooks = append(q.found.webhooks, time.Since(at))
	}
	return q.found, nil
}

func (q *quiet) awaitWebhooks(ctx context.Context) {
	const look = 20 * time.Millisecond
	for began := time.Now(); time.Since(began) < settleTime; {
		q.mutex.Lock()
		outstanding := len(q.accepted)
		q.mutex.Unlock()
		if outstanding == 0 || backoff.Sleep(ctx, look) != nil {
			return
		}
	}
}

func (q *quiet) timed(ctx context.Context, work func(context.Context) error) {
	began := time.Now()
	err := work(ctx)
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.found.requests = append(q.found.requests, time.Since(began))
	if err != nil {
		q.found.failed = append(q.found.failed, err.Error())
	}
}

func (q *quiet) send(ctx context.Context) error {
	body, err := q.call(ctx, http.MethodPost, "/v1/emails", map[string]string{
		"from": "hello@" + q.tenant.Domain, "to": "user@example.com", "subject": "Welcome", "text": "Hello there.",
	}, http.StatusAccepted)
	if err != nil {
		return err
	}
	var sent struct{ ID string }
	if err := json.Unmarshal(body, &sent); err != nil {
		return fmt.Errorf("read the response to a send: %w", err)
	}
	now := time.Now()
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.last = sent.ID
	if came, found := q.early[sent.ID]; found {
		delete(q.early, sent.ID)
		q.found.webhooks = append(q.found.webhooks, max(0, came.Sub(now)))
		return nil
	}
	q.accepted[sent.ID] = now
	return nil
}

// read reads one message and the newest ones, in turn.
func (q *quiet) read(ctx context.Context) error {
	q.mutex.Lock()
	path := "/v1/emails?limit=10"
	if q.last != "" && len(q.found.requests)%2 == 0 {
		path = "/v1/emails/" + q.last
	}
	q.mutex.Unlock()
	_, err := q.call(ctx, http.MethodGet, path, nil, http.StatusOK)
	return err
}

func (q *quiet) call(ctx context.Context, method, path string, body any, want int) ([]byte, error) {
	var encoded bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&encoded).Encode(body); err != nil {
			return nil, fmt.Errorf("write a request: %w", err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+q.address+path, &encoded)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+q.tenant.Key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := q.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the response: %w", method, path, err)
	}
	if response.StatusCode != want {
		return nil, fmt.Errorf("%s %s: %s %.200s", method, path, response.Status, said)
	}
	return said, nil
}

// ServeHTTP takes a webhook of the organization.
func (q *quiet) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	var event struct{ Data struct{ ID string } }
	if json.NewDecoder(io.LimitReader(request.Body, 1<<20)).Decode(&event) != nil {
		return
	}
	now := time.Now()
	q.mutex.Lock()
	defer q.mutex.Unlock()
	at, found := q.accepted[event.Data.ID]
	if !found {
		q.early[event.Data.ID] = now
		return
	}
	delete(q.accepted, event.Data.ID)
	q.found.webhooks = append(q.found.webhooks, now.Sub(at))
}
