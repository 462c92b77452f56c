package snssim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/snssim/policies"
)

const (
	defaultVisibility = 30 * time.Second
	attributeARN      = "QueueArn"
)

// Queue is a queue without its messages.
type Queue struct {
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
}

// queue holds messages in memory. A received message is hidden from other receivers for the visibility timeout;
// unless its receiver deletes it by then, it is delivered again.
type queue struct {
	name       string
	attributes map[string]string
	held       []*item
	arrived    chan struct{} // closed and replaced when a message arrives
}

type item struct {
	id, body, receipt string
	sent              time.Time
	visibleAt         time.Time
	received          int
}

func newQueue(of Queue) *queue {
	return &queue{name: of.Name, attributes: maps.Clone(of.Attributes), arrived: make(chan struct{})}
}

func (q *queue) add(one *item) {
	q.held = append(q.held, one)
	close(q.arrived)
	q.arrived = make(chan struct{})
}

// take receives up to most visible messages and hides them.
func (q *queue) take(now time.Time, most int, visibility time.Duration) []*item {
	var taken []*item
	for _, one := range q.held {
		if len(taken) == most {
			break
		}
		if one.visibleAt.After(now) {
			continue
		}
		one.receipt, one.visibleAt = newToken(), now.Add(visibility)
		one.received++
		copied := *one
		taken = append(taken, &copied)
	}
	return taken
}

// hidden returns how many messages receivers have.
func (q *queue) hidden(now time.Time) (n int) {
	for _, one := range q.held {
		if one.visibleAt.After(now) {
			n++
		}
	}
	return n
}

// nextVisible returns when the next hidden message becomes visible again, or zero if none is hidden.
func (q *queue) nextVisible() time.Time {
	var next time.Time
	for _, one := range q.held {
		if next.IsZero() || one.visibleAt.Before(next) {
			next = one.visibleAt
		}
	}
	return next
}

// remove deletes the message of a receipt. As in SQS, a message that is already deleted is no error.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html
func (q *queue) remove(receipt string) {
	for i, one := range q.held {
		if one.receipt == receipt {
			q.held = append(q.held[:i], q.held[i+1:]...)
			return
		}
	}
}

// redrive moves visible messages that were received too often to the dead-letter queue.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
// The caller holds mu.
func (s *Simulator) redrive(q *queue, now time.Time) {
	most, known := receiveCount(q.attributes[attributeRedrive])
	dead, ok := s.queues[nameOfARN(deadLetters(q.attributes[attributeRedrive]))]
	if !ok || !known {
		return
	}
	q.held = slices.DeleteFunc(q.held, func(one *item) bool {
		if one.received < most || one.visibleAt.After(now) {
			return false
		}
		dead.add(&item{id: one.id, body: one.body, sent: one.sent, visibleAt: now})
		return true
	})
}

// receiveCount returns how often a redrive policy lets a message be received. The count may be a number or a text.
func receiveCount(redrivePolicy string) (int, bool) {
	var policy struct {
		MaxReceiveCount json.RawMessage `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(redrivePolicy), &policy) != nil {
		return 0, false
	}
	count, err := strconv.Atoi(strings.Trim(string(policy.MaxReceiveCount), `"`))
	return count, err == nil
}

func (q *queue) seconds(attribute string, otherwise time.Duration) time.Duration {
	n, err := strconv.Atoi(q.attributes[attribute])
	if err != nil {
		return otherwise
	}
	return time.Duration(n) * time.Second
}

func (s *Simulator) queueARN(name string) string {
	return "arn:aws:sqs:" + s.config.Region + ":" + Account + ":" + name
}

// nameOfARN returns the last part of an ARN, or of a queue's URL.
func nameOfARN(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }

// enqueue puts a topic's message into a queue whose policy allows the topic to send.
func (s *Simulator) enqueue(to Subscription, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[nameOfARN(to.Endpoint)]
	if !ok || !policies.Allows(q.attributes[attributePolicy], Account, "sns.amazonaws.com", "sqs:SendMessage", to.Endpoint, to.TopicARN) {
		s.config.Log.Warn("topic not allowed to send to its queue")
		return
	}
	now := s.config.Now()
	q.add(&item{id: newID(), body: string(body), sent: now, visibleAt: now})
}

// Send puts a message into a queue without checking its policy. It reports whether the queue exists.
func (s *Simulator) Send(name, body string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if ok {
		now := s.config.Now()
		q.add(&item{id: newID(), body: body, sent: now, visibleAt: now})
	}
	return ok
}

// Held returns how many messages a queue holds, including received ones.
func (s *Simulator) Held(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return 0
	}
	return len(q.held)
}

// Forbid removes the policy of a queue, as an AWS user might: topics can then no longer send to it.
func (s *Simulator) Forbid(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.queues[name]; ok {
		delete(q.attributes, attributePolicy)
	}
}
