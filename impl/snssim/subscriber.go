package snssim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/snssim/policies"
	"github.com/voostack/mailstack/impl/snssim/signing"
)

const (
	// workers is how many messages one subscriber gets concurrently. SNS sets no such bound.
	workers     = 64
	postTimeout = 15 * time.Second
	postFirst   = 100 * time.Millisecond
	postLongest = 5 * time.Second
)

// subscriber delivers a topic's messages to one subscription.
type subscriber struct {
	sim *Simulator
	arn string

	mu        sync.Mutex
	pending   []signing.Message
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
	one := &subscriber{sim: s, arn: subscription.ARN, confirmed: subscription.Confirmed}
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

func (one *subscriber) add(m signing.Message) {
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
		delivered := one.sim.deliver(one.sim.subscription(one.arn), m)
		one.mu.Lock()
		one.inHand--
		if !delivered {
			one.pending = append([]signing.Message{m}, one.pending...)
		}
		one.mu.Unlock()
	}
}

func (s *Simulator) subscription(arn string) Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscriptions[arn]
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

// deliver signs a message and delivers it to the subscription's web server or queue. It returns false if the simulator was
// closed while retries were left.
func (s *Simulator) deliver(to Subscription, m signing.Message) bool {
	body, err := s.encode(&m, to.raw())
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
func (s *Simulator) encode(m *signing.Message, raw bool) ([]byte, error) {
	if raw && m.Type == signing.TypeNotification {
		return []byte(m.Message), nil
	}
	if s.config.SigningKeyBits < 0 {
		return json.Marshal(m)
	}
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	m.SigningCertURL += keys.Path
	if err := keys.Sign(m); err != nil {
		return nil, err
	}
	return json.Marshal(m)
}

// post posts until the subscriber accepts the message or the policy has no retries left; then the message goes to the
// dead-letter queue of the subscription, or is lost. An error of the client (4xx, except 429) is not retried. It returns false
// if the simulator was closed first.
//   - https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
//   - https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html
func (s *Simulator) post(to Subscription, m signing.Message, body []byte) bool {
	for wait := range s.waits(to) {
		if s.pause(wait) != nil {
			return false
		}
		status, err := s.try(to.Endpoint, m, body)
		if err == nil && status < http.StatusBadRequest {
			return true
		}
		if err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
			s.config.Log.Warn("event refused by the subscriber", slog.Int("status", status))
			break
		}
	}
	if s.context.Err() != nil {
		return false
	}
	if m.Type == signing.TypeNotification {
		s.bury(to, body)
	}
	return true
}

// waits yields the wait before each attempt to post. The subscriber of an open topic gets attempts without end: it stands for
// no subscription that anyone could configure.
func (s *Simulator) waits(to Subscription) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		if !yield(0) {
			return
		}
		if s.isOpen(to.TopicARN) {
			for wait := postFirst; yield(wait); wait = min(2*wait, postLongest) {
			}
			return
		}
		policy, err := policies.RetriesOf(to.Attributes[attributeDelivery])
		if err != nil { // it was read when it was set
			return
		}
		for _, wait := range policy.Delays() {
			if !yield(wait) {
				return
			}
		}
	}
}

func (s *Simulator) isOpen(topicARN string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.topics[topicARN].Open
}

// pause waits, unless SkipWaits was called.
func (s *Simulator) pause(wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.skipping:
		return s.context.Err()
	case <-s.context.Done():
		return s.context.Err()
	}
}

// SkipWaits makes retries follow each other at once, from now on: an hour of retries passes in a moment. It can be called once.
func (s *Simulator) SkipWaits() { close(s.skipping) }

// bury puts what a web server did not accept into the dead-letter queue of the subscription.
func (s *Simulator) bury(to Subscription, body []byte) {
	dead := deadLetters(to.Attributes[attributeRedrive])
	if dead == "" {
		s.config.Log.Warn("event discarded after the last retry")
		return
	}
	to.Endpoint = dead
	s.enqueue(to, body)
}

func (s *Simulator) try(endpoint string, m signing.Message, body []byte) (status int, err error) {
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
