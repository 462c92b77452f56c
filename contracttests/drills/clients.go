package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
)

const (
	answerLimit = 15 * time.Second
	// A client whose request was not accepted retries after firstRetry; the wait doubles up to longestRetry.
	firstRetry, longestRetry = 50 * time.Millisecond, time.Second
	// most is how many requests may be unfinished. While so many are, no new ones are made. It is more than what reaches a
	// suspended process before HAProxy notices.
	most        = 400
	maxProblems = 5
)

// clients make requests at a steady rate, and record the responses.
type clients struct {
	urls    []string
	tenants []harness.Tenant
	http    *http.Client

	mutex sync.Mutex
	// told holds when each message was accepted, by its id.
	told             map[string]time.Time
	statuses         map[int]int
	requests, broken int
	last             time.Time // of a 202
	gap              time.Duration
	wrong            []error
}

func newClients(urls []string, tenants []harness.Tenant) *clients {
	return &clients{
		urls: urls, tenants: tenants, told: map[string]time.Time{}, statuses: map[int]int{},
		// Connections are kept for less than a server keeps them, so that none closes as a request is sent.
		http: &http.Client{Timeout: answerLimit, Transport: &http.Transport{MaxIdleConnsPerHost: most, IdleConnTimeout: 20 * time.Second}},
	}
}

// send makes new requests at the rate until wanted ends, and returns when the last has been accepted, or ctx ends.
func (c *clients) send(ctx, wanted context.Context, rate int) {
	var unfinished sync.WaitGroup
	defer unfinished.Wait()
	free := make(chan struct{}, most)
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for number := 0; ; number++ {
		select {
		case <-wanted.Done():
			return
		case <-ticker.C:
		}
		select {
		case <-wanted.Done():
			return
		case free <- struct{}{}:
		}
		unfinished.Go(func() {
			c.insist(ctx, number)
			<-free
		})
	}
}

// insist repeats a request under its idempotency key, at one URL after another, until it is accepted.
func (c *clients) insist(ctx context.Context, number int) {
	for turn, wait := number, firstRetry; ctx.Err() == nil; turn, wait = turn+1, min(2*wait, longestRetry) {
		id, err := c.try(ctx, c.urls[turn%len(c.urls)], number)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.report(fmt.Errorf("request %d: %w", number, err))
		}
		if id != "" {
			return
		}
		_ = backoff.Sleep(ctx, backoff.Jitter(wait, rand.Float64())) //nolint:gosec // no secret; the loop checks the context
	}
}

// try makes the request once, and returns the id of the accepted message.
func (c *clients) try(ctx context.Context, url string, number int) (id string, err error) {
	tenant := c.tenants[number%len(c.tenants)]
	body := fmt.Appendf(nil, `{"from":"hello@%s","to":"you+%d@example.com","subject":"%d","text":"Is everything still here?"}`,
		tenant.Domain, number, number)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/emails", bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("make a request: %w", err)
	}
	request.GetBody = nil // or the transport would repeat a request with this header by itself, which hides a cut connection
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+tenant.Key)
	request.Header.Set("Idempotency-Key", fmt.Sprintf("drill-%d", number))
	response, err := c.http.Do(request)
	if err != nil {
		c.record(0, "")
		return "", fmt.Errorf("no response: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	said, err := io.ReadAll(response.Body)
	if err != nil {
		c.record(0, "")
		return "", fmt.Errorf("no whole response: %w", err)
	}
	var told struct {
		ID string `json:"id"`
	}
	if response.StatusCode != http.StatusAccepted {
		c.record(response.StatusCode, "")
		return "", fmt.Errorf("response %d: %s", response.StatusCode, said)
	}
	if err := json.Unmarshal(said, &told); err != nil || told.ID == "" {
		return "", fmt.Errorf("response without an id: %s: %w", said, err)
	}
	c.record(response.StatusCode, told.ID)
	return told.ID, nil
}

// record counts a response; status 0 is none at all.
func (c *clients) record(status int, id string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.requests++
	if status == 0 {
		c.broken++
		return
	}
	c.statuses[status]++
	if id == "" {
		return
	}
	now := time.Now()
	c.told[id] = now
	if !c.last.IsZero() {
		c.gap = max(c.gap, now.Sub(c.last))
	}
	c.last = now
}

// report keeps the first few failed requests.
func (c *clients) report(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.wrong) < maxProblems {
		c.wrong = append(c.wrong, err)
	}
}

// examples returns the first failed requests.
func (c *clients) examples() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return errors.Join(c.wrong...)
}
