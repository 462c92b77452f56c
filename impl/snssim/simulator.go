// Package snssim simulates Amazon SNS and SQS as far as SES events need them, and the one STS call that identifies
// the caller. It speaks their wire protocols, so the AWS SDKs work with it unchanged.
//
//   - simulator.go: Config, New, the routes, the state
//   - topics.go, subscriptions.go: topics and their subscriptions; query.go: the query protocol of SNS and STS
//   - attributes.go: which attributes topics, subscriptions and queues take
//   - queues.go, receive.go: the operations of SQS, in its JSON protocol; queue.go: the messages of a queue
//   - subscriber.go: delivery to web servers and queues
//   - certificate.go: the certificate of the signing key
//
// Packages below it read policies (policies) and sign messages (signing).
//
// Published messages wait in memory for their subscribers, and so do the messages of a queue.
package snssim

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/voostack/mailstack/impl/snssim/signing"
)

// Account is the id of the simulated account.
const Account = "000000000000"

// Refusal is an error response of the services.
type Refusal struct {
	Status        int
	Code, Message string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

func invalid(message string) error {
	return &Refusal{http.StatusBadRequest, "InvalidParameter", "Invalid parameter: " + message}
}

// Config describes the simulated account.
type Config struct {
	Region string           // required
	Now    func() time.Time // required
	Log    *slog.Logger     // required
	// SigningKeyBits is the length of the RSA key that signs messages. Zero means 2048, as with SNS; negative leaves them
	// unsigned.
	SigningKeyBits int
	// Before is called before every call, such as sns:CreateTopic, and may refuse it with a *Refusal. Nil refuses
	// none.
	Before func(r *http.Request, call string) error
	// Record is called with every change before it is made; if it fails, the change is not made. Nil records
	// nothing.
	Record func(Change) error
}

// Change is a change of the lasting state. Exactly one of its members is set.
type Change struct {
	Topic        *Topic        `json:"topic,omitempty"`
	Subscription *Subscription `json:"subscription,omitempty"`
	Queue        *Queue        `json:"queue,omitempty"`
}

// Simulator is the topics and queues of one account in one region. It is safe for concurrent use.
type Simulator struct {
	config Config
	keys   func() (*signing.Signer, error)
	client *http.Client
	// skipping is closed when retries no longer wait.
	skipping chan struct{}
	// context ends with the simulator, and with it the posts in flight and the calls that wait.
	context context.Context //nolint:containedctx // its lifetime is the simulator's
	cancel  context.CancelFunc
	ending  sync.WaitGroup

	mu            sync.Mutex
	topics        map[string]Topic        // by ARN
	subscriptions map[string]Subscription // by ARN
	subscribers   map[string]*subscriber  // by the ARN of the subscription
	queues        map[string]*queue       // by name
}

// New returns a simulator without topics and queues.
func New(config Config) *Simulator {
	ctx, cancel := context.WithCancel(context.Background())
	return &Simulator{
		config: config, context: ctx, cancel: cancel, skipping: make(chan struct{}),
		keys:   sync.OnceValues(func() (*signing.Signer, error) { return signing.New(config.Now(), cmp.Or(config.SigningKeyBits, 2048)) }),
		client: &http.Client{Timeout: postTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: workers}},
		topics: map[string]Topic{}, subscriptions: map[string]Subscription{},
		subscribers: map[string]*subscriber{}, queues: map[string]*queue{},
	}
}

// Published is a text published to a topic.
type Published struct {
	Topic string `json:"topic"`
	Text  string `json:"text"`
}

// Close ends posts and waiting calls, and returns what web servers have not accepted yet. The messages of queues
// are lost.
func (s *Simulator) Close() []Published {
	s.mu.Lock()
	s.cancel()
	for _, one := range s.subscribers {
		one.stop()
	}
	s.mu.Unlock()
	s.ending.Wait()
	s.client.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []Published
	for _, one := range s.subscribers {
		left = append(left, one.waiting()...)
	}
	return left
}

// Unpublished returns how many texts web servers have not accepted yet.
func (s *Simulator) Unpublished() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.subscribers {
		n += one.left()
	}
	return n
}

// Knows reports whether a topic exists.
func (s *Simulator) Knows(topicARN string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.topics[topicARN]
	return ok
}

// Restore makes a change that was recorded earlier. It must be called before the first API call.
func (s *Simulator) Restore(change Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(change)
}

// commit records a change and makes it. The caller holds mu.
func (s *Simulator) commit(change Change) error {
	if s.context.Err() != nil {
		return errors.New("the simulator is closed")
	}
	if s.config.Record != nil {
		if err := s.config.Record(change); err != nil {
			return err
		}
	}
	s.apply(change)
	return nil
}

func (s *Simulator) apply(change Change) {
	switch {
	case change.Topic != nil:
		s.topics[change.Topic.ARN] = *change.Topic
	case change.Subscription != nil:
		s.subscriptions[change.Subscription.ARN] = *change.Subscription
		if change.Subscription.Confirmed || s.topics[change.Subscription.TopicARN].Open {
			s.attach(*change.Subscription)
		}
	case change.Queue != nil:
		if known, ok := s.queues[change.Queue.Name]; ok {
			known.attributes = change.Queue.Attributes
			return
		}
		s.queues[change.Queue.Name] = newQueue(*change.Queue)
	}
}

// ServeHTTP serves SNS and STS (form-encoded queries), SQS (JSON), the signing certificate, and the links that
// confirm a subscription.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".pem"):
		s.serveCertificate(w, r)
	case r.Method == http.MethodGet && r.URL.Query().Get("Action") == "ConfirmSubscription":
		s.follow(w, r)
	case r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("X-Amz-Target"), targetSQS):
		s.serveSQS(w, r)
	case r.Method == http.MethodPost:
		s.serveQuery(w, r)
	default:
		http.NotFound(w, r)
	}
}

// CertificateRoute returns the pattern of the path that serves the signing certificate.
func CertificateRoute() string { return "/{certificate}" }

func (s *Simulator) before(r *http.Request, call string) error {
	if s.config.Before == nil {
		return nil
	}
	return s.config.Before(r, call)
}

// Operations returns the names of the simulated operations, by service.
func (s *Simulator) Operations() map[string][]string {
	offered := map[string][]string{"sqs": slices.Sorted(maps.Keys(s.queueCalls()))}
	for call := range s.queries() {
		service, operation, _ := strings.Cut(call, ":")
		offered[service] = append(offered[service], operation)
	}
	return offered
}

func newToken() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	return hex.EncodeToString(raw)
}

func newID() string { return uuid.NewString() }
