package snssim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// workers is how many messages one subscriber gets concurrently. SNS sets no such bound.
	workers     = 64
	postTimeout = 15 * time.Second
	postFirst   = 100 * time.Millisecond
	postLongest = 5 * time.Second
)

// subscriber delivers a topic's messages to one subscription. It retries until the web server accepts a message;
// SNS would give up eventually.
type subscriber struct {
	sim          *Simulator
	subscription Subscription

	mu        sync.Mutex
	pending   []message
	inHand    int
	changed   *sync.Cond
	confirmed bool // until then everything waits
	stopped   bool
}

// attach starts delivery to a subscription. The caller holds mu.
func (s *Simulator) attach(subscription Subscription) {
	if known, ok := s.subscribers[subscription.ARN]; ok {
		known.confirm(subscription.Confirmed)
		return
	}
	one := &subscriber{sim: s, subscription: subscription, confirmed: subscription.Confirmed}
	one.changed = sync.NewCond(&one.mu)
	s.subscribers[subscription.ARN] = one
	for range workers {
		s.ending.Go(one.work)
	}
}

func (one *subscriber) confirm(confirmed bool) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.confirmed = confirmed
	one.changed.Broadcast()
}

func (one *subscriber) stop() {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.stopped = true
	one.changed.Broadcast()
}

func (one *subscriber) add(m message) {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.pending = append(one.pending, m)
	one.changed.Signal()
}

func (one *subscriber) work() {
	for {
		one.mu.Lock()
		for !one.stopped && (!one.confirmed || len(one.pending) == 0) {
			one.changed.Wait()
		}
		if one.stopped {
			one.mu.Unlock()
			return
		}
		m := one.pending[0]
		one.pending = one.pending[1:]
		one.inHand++
		one.mu.Unlock()
		delivered := one.sim.deliver(one.subscription, m)
		one.mu.Lock()
		one.inHand--
		if !delivered {
			one.pending = append([]message{m}, one.pending...)
		}
		one.mu.Unlock()
	}
}

// left returns how many messages are published and not delivered.
func (one *subscriber) left() int {
	one.mu.Lock()
	defer one.mu.Unlock()
	return len(one.pending) + one.inHand
}

// waiting returns the messages that are published and not delivered.
func (one *subscriber) waiting() []Published {
	one.mu.Lock()
	defer one.mu.Unlock()
	var found []Published
	for _, m := range one.pending {
		found = append(found, Published{Topic: m.TopicArn, Text: m.Message})
	}
	return found
}

// deliver signs a message and delivers it to the subscription's web server or queue. It returns false if the
// simulator was closed before the web server accepted it.
func (s *Simulator) deliver(to Subscription, m message) bool {
	body, err := s.encode(&m, to.Raw)
	if err != nil {
		s.config.Log.Error("publish an event", slog.Any("error", err))
		return true // a retry would fail the same way
	}
	if to.Protocol == protocolSQS {
		s.enqueue(to, body)
		return true
	}
	return s.post(to, m, body)
}

// encode returns a message as its subscriber gets it: signed and in its envelope, or raw.
func (s *Simulator) encode(m *message, raw bool) ([]byte, error) {
	if raw && m.Type == typeNotification {
		return []byte(m.Message), nil
	}
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	m.SigningCertURL += keys.path
	if err := keys.sign(m); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// post retries until the subscriber accepts the message or refuses it for good. It returns false if the simulator
// was closed first.
func (s *Simulator) post(to Subscription, m message, body []byte) bool {
	for wait := postFirst; ; wait = min(2*wait, postLongest) {
		status, err := s.try(to.Endpoint, m, body)
		if err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
			if status >= http.StatusBadRequest {
				s.config.Log.Warn("event refused by the subscriber", slog.Int("status", status))
			}
			return true
		}
		if backoff.Sleep(s.context, wait) != nil {
			return false
		}
	}
}

func (s *Simulator) try(endpoint string, m message, body []byte) (status int, err error) {
	request, err := http.NewRequestWithContext(s.context, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	request.Header.Set("User-Agent", "Amazon Simple Notification Service Agent")
	request.Header.Set("x-amz-sns-message-type", m.Type)
	request.Header.Set("x-amz-sns-message-id", m.MessageId)
	request.Header.Set("x-amz-sns-topic-arn", m.TopicArn)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("post an event: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
