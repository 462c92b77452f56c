package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/backoff"
)

const (
	answerLimit = 15 * time.Second
	// A client without a response retries after firstRetry; the wait doubles up to longestRetry.
	firstRetry, longestRetry = 20 * time.Millisecond, time.Second
	maxProblems              = 10
)

// clients send requests and remember the responses.
type clients struct {
	urls          []string
	organizations []organization
	turns         []*organization // each as often as its weight
	http          *http.Client
	paused        atomic.Bool

	mutex sync.Mutex
	// told holds the ids of accepted messages, by organization.
	told map[uuid.UUID]map[string]bool
	// refused counts the requests that were refused for an allowance or cap, by organization.
	refused map[uuid.UUID]int
	wrong   []error
}

func newClients(urls []string, organizations []organization, connections int) *clients {
	c := &clients{
		urls: urls, organizations: organizations, told: map[uuid.UUID]map[string]bool{}, refused: map[uuid.UUID]int{},
		http: &http.Client{Timeout: answerLimit, Transport: &http.Transport{MaxIdleConnsPerHost: connections}},
	}
	for i := range organizations {
		c.told[organizations[i].ID] = map[string]bool{}
		for range organizations[i].weight {
			c.turns = append(c.turns, &organizations[i])
		}
	}
	return c
}

// send makes new requests one after another until wanted ends. It returns when the last has its final response, or
// when ctx ends.
func (c *clients) send(ctx, wanted context.Context, client int) {
	for number := 0; wanted.Err() == nil; number++ {
		if c.paused.Load() {
			_ = backoff.Sleep(wanted, look) // the loop checks the context
			continue
		}
		from := c.turns[rand.IntN(len(c.turns))] //nolint:gosec // no secret
		made, err := newRequest(from, fmt.Sprintf("%d-%d", client, number), number)
		if err != nil {
			c.report(err)
			return
		}
		c.insist(ctx, made, client+number)
	}
}

// insist repeats the request at either API process until it has its final response.
func (c *clients) insist(ctx context.Context, made request, turn int) {
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, longestRetry) {
		got, err := made.send(ctx, c.http, c.urls[turn%len(c.urls)])
		if err == nil && c.isFinal(made, got) {
			return
		}
		turn++
		_ = backoff.Sleep(ctx, wait) // the loop checks the context
	}
}

// isFinal records a response, and reports whether it is final.
func (c *clients) isFinal(made request, got answer) bool {
	unlimited := made.organization.limit == 0
	switch {
	case got.status == http.StatusAccepted:
		c.remember(made, got)
		if len(got.ids)+got.rejected != made.messages || (got.rejected > 0 && unlimited) {
			c.report(fmt.Errorf("%s with %d messages: response %s", made.path, made.messages, got.said))
		}
	case got.status == http.StatusPaymentRequired && !unlimited:
		c.mutex.Lock()
		c.refused[made.organization.ID]++
		c.mutex.Unlock()
	case got.status == http.StatusServiceUnavailable || got.status == http.StatusConflict:
		if got.retryAfter == "" {
			c.report(fmt.Errorf("%s: response %d without Retry-After: %s", made.path, got.status, got.said))
		}
		return false
	default:
		c.report(fmt.Errorf("%s: response %d: %s", made.path, got.status, got.said))
		return got.status < http.StatusInternalServerError
	}
	return true
}

func (c *clients) remember(made request, got answer) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	told := c.told[made.organization.ID]
	for _, id := range got.ids {
		if told[id] {
			c.wrong = append(c.wrong, fmt.Errorf("message %s is in the responses to two requests", id))
		}
		told[id] = true
	}
}

func (c *clients) report(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.wrong) < maxProblems {
		c.wrong = append(c.wrong, err)
	}
}

// problems returns the responses that no client should get.
func (c *clients) problems() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return errors.Join(c.wrong...)
}

func (c *clients) accepted() (n int) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, ids := range c.told {
		n += len(ids)
	}
	return n
}

// pauseWhile pauses new requests while the workers are too far behind.
func (c *clients) pauseWhile(ctx context.Context, behind func(context.Context) bool) {
	for backoff.Sleep(ctx, 5*look) == nil {
		c.paused.Store(behind(ctx))
	}
}
