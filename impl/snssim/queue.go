package snssim

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultVisibility = 30 * time.Second
	attributeARN      = "QueueArn"
)

// Queue is a queue, without what is in it.
type Queue struct {
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
}

// queue holds messages in memory. Whoever receives one has it alone for the visibility timeout, and deletes it by then,
// or another gets it.
type queue struct {
	name       string
	attributes map[string]string
	held       []*item
	arrived    chan struct{} // closed and replaced when a message comes in
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

// take returns up to max messages that nobody has in hand.
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

// nextVisible is when the next message in hand comes back; zero when there is none.
func (q *queue) nextVisible() time.Time {
	var next time.Time
	for _, one := range q.held {
		if next.IsZero() || one.visibleAt.Before(next) {
			next = one.visibleAt
		}
	}
	return next
}

// remove deletes the message of a receipt. One that is gone already is no error, as in SQS.
func (q *queue) remove(receipt string) {
	for i, one := range q.held {
		if one.receipt == receipt {
			q.held = append(q.held[:i], q.held[i+1:]...)
			return
		}
	}
}

// redrive moves what was received too often, and is in nobody's hand, to the queue that is for it. The caller holds mu.
func (s *Simulator) redrive(q *queue, now time.Time) {
	var policy struct {
		DeadLetterTargetARN string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(q.attributes["RedrivePolicy"]), &policy) != nil {
		return
	}
	dead, ok := s.queues[nameOfARN(policy.DeadLetterTargetARN)]
	most, err := strconv.Atoi(strings.Trim(string(policy.MaxReceiveCount), `"`))
	if !ok || err != nil {
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

// nameOfARN is the last part of an ARN; that of an URL of a queue is found alike.
func nameOfARN(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }

// enqueue puts a message of a topic into a queue whose policy lets the topic do so.
func (s *Simulator) enqueue(to Subscription, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[nameOfARN(to.Endpoint)]
	if !ok || !allows(q.attributes[servicePolicy], "sns.amazonaws.com", "sqs:SendMessage", to.Endpoint, to.TopicARN) {
		s.config.Log.Warn("a topic cannot send to its queue")
		return
	}
	now := s.config.Now()
	q.add(&item{id: newID(), body: string(body), sent: now, visibleAt: now})
}

// Send puts a message into a queue, as anybody might. It reports whether there is such a queue.
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

// Held is how many messages a queue holds, those in somebody's hand included.
func (s *Simulator) Held(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[name]
	if !ok {
		return 0
	}
	return len(q.held)
}

// Forbid takes the policy of a queue away, as somebody might: topics cannot send to it any more.
func (s *Simulator) Forbid(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q, ok := s.queues[name]; ok {
		delete(q.attributes, servicePolicy)
	}
}
