package sessim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what version 1 of SNS's signature is made of
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	publishers      = 8
	publishTimeout  = 15 * time.Second
	publishFirst    = 100 * time.Millisecond
	publishLongest  = 5 * time.Second
	certificatePath = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
	certificateAge  = 10 * 365 * 24 * time.Hour
)

// Events says where the events of accepted messages go: to a topic of a simulated Amazon SNS with one subscriber.
type Events struct {
	// URL is where messages of the topic are posted.
	URL string
	// TopicARN names the topic.
	TopicARN string
	// Own is the base URL of the simulator, for the certificate of the signatures and the confirmation.
	Own string
	// SignatureVersion is that of the topic, "1" or "2". Empty: "1", as SNS has it.
	SignatureVersion string
	// DeliverAll also reports the delivery to addresses that are not of the mailbox simulator.
	DeliverAll bool
}

// publisher posts what a topic publishes. It tries until the subscriber takes a message: SNS would give up in time.
type publisher struct {
	events      Events
	key         *rsa.PrivateKey
	certificate []byte
	token       string
	client      *http.Client
	now         func() time.Time
	log         *slog.Logger

	mu        sync.Mutex
	confirmed bool
	pending   []snsMessage
	changed   *sync.Cond
	stopped   bool
	ended     sync.WaitGroup
	context   context.Context //nolint:containedctx // ends the posts under way when the simulator is closed
	cancel    context.CancelFunc
}

// snsMessage is a message of SNS over HTTP.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
type snsMessage struct {
	Type             string
	MessageId        string
	Token            string `json:",omitempty"`
	TopicArn         string
	Message          string
	SubscribeURL     string `json:",omitempty"`
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	UnsubscribeURL   string `json:",omitempty"`
}

// Publish reports what becomes of the messages that are accepted from now on. The subscriber is asked for its
// confirmation first. It can be called once.
func (s *Simulator) Publish(events Events) error {
	if err := events.check(); err != nil {
		return err
	}
	if events.SignatureVersion == "" {
		events.SignatureVersion = "1"
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("make the key of the simulated SNS: %w", err)
	}
	certificate, err := certify(key, s.now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &publisher{
		events: events, key: key, certificate: certificate, token: uuid.NewString(), now: s.now, log: s.log,
		client:  &http.Client{Timeout: publishTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: publishers}},
		context: ctx, cancel: cancel,
	}
	p.changed = sync.NewCond(&p.mu)
	if !s.publisher.CompareAndSwap(nil, p) {
		cancel()
		return errors.New("publish events: the simulator does so already")
	}
	p.ended.Go(func() { p.post(p.subscription()) })
	for range publishers {
		p.ended.Go(p.work)
	}
	return nil
}

func certify(key *rsa.PrivateKey, now time.Time) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateAge),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of the simulated SNS: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// close ends the posts. What was not posted is lost.
func (p *publisher) close() {
	p.cancel()
	p.mu.Lock()
	p.stopped = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.ended.Wait()
	p.client.CloseIdleConnections()
}

// notify publishes an event once the subscription is confirmed.
func (p *publisher) notify(event string) {
	message := p.message("Notification", event)
	message.UnsubscribeURL = p.events.Own + "/?Action=Unsubscribe"
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, message)
	p.changed.Signal()
}

func (p *publisher) work() {
	for {
		p.mu.Lock()
		for !p.stopped && (!p.confirmed || len(p.pending) == 0) {
			p.changed.Wait()
		}
		if p.stopped {
			p.mu.Unlock()
			return
		}
		message := p.pending[0]
		p.pending = p.pending[1:]
		p.mu.Unlock()
		p.post(message)
	}
}

func (p *publisher) message(kind, text string) snsMessage {
	return snsMessage{
		Type: kind, MessageId: uuid.NewString(), TopicArn: p.events.TopicARN, Message: text, Timestamp: timestamp(p.now()),
		SignatureVersion: p.events.SignatureVersion, SigningCertURL: p.events.Own + certificatePath,
	}
}

func (p *publisher) subscription() snsMessage {
	message := p.message("SubscriptionConfirmation", "You have chosen to subscribe to the topic "+p.events.TopicARN+
		".\nTo confirm the subscription, visit the SubscribeURL included in this message.")
	message.Token = p.token
	message.SubscribeURL = p.events.Own + "/?" + url.Values{
		"Action": {"ConfirmSubscription"}, "TopicArn": {p.events.TopicARN}, "Token": {p.token},
	}.Encode()
	return message
}

// sign signs what SNS signs: the members in the order of their names.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
func (p *publisher) sign(m *snsMessage) error {
	parts := []string{"Message", m.Message, "MessageId", m.MessageId}
	if m.Type != "Notification" {
		parts = append(parts, "SubscribeURL", m.SubscribeURL)
	}
	parts = append(parts, "Timestamp", m.Timestamp)
	if m.Type != "Notification" {
		parts = append(parts, "Token", m.Token)
	}
	parts = append(parts, "TopicArn", m.TopicArn, "Type", m.Type, "")
	text := []byte(strings.Join(parts, "\n"))
	first, second := sha1.Sum(text), sha256.Sum256(text)
	hash, sum := crypto.SHA1, first[:]
	if m.SignatureVersion == "2" {
		hash, sum = crypto.SHA256, second[:]
	}
	signature, err := rsa.SignPKCS1v15(nil, p.key, hash, sum)
	if err != nil {
		return fmt.Errorf("sign a message of the simulated SNS: %w", err)
	}
	m.Signature = base64.StdEncoding.EncodeToString(signature)
	return nil
}

// post tries until the subscriber takes the message, or says that it never will.
func (p *publisher) post(message snsMessage) {
	if err := p.sign(&message); err != nil {
		p.log.Error("publish an event", slog.Any("error", err))
		return
	}
	body, err := json.Marshal(message)
	if err != nil {
		p.log.Error("encode a message of the simulated SNS", slog.Any("error", err))
		return
	}
	for wait := publishFirst; ; wait = min(2*wait, publishLongest) {
		status, err := p.try(message, body)
		if err == nil && status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
			if status >= http.StatusBadRequest {
				p.log.Warn("the subscriber refuses an event", slog.Int("status", status))
			}
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-p.context.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (p *publisher) try(message snsMessage, body []byte) (status int, err error) {
	request, err := http.NewRequestWithContext(p.context, http.MethodPost, p.events.URL, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("make a request: %w", err)
	}
	request.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	request.Header.Set("User-Agent", "Amazon Simple Notification Service Agent")
	request.Header.Set("x-amz-sns-message-type", message.Type)
	request.Header.Set("x-amz-sns-message-id", message.MessageId)
	request.Header.Set("x-amz-sns-topic-arn", message.TopicArn)
	response, err := p.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("post an event: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

// serveCertificate and confirmSubscription are what SNS serves.
func (s *Simulator) serveCertificate(w http.ResponseWriter, r *http.Request) {
	p := s.publisher.Load()
	if p == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-cert")
	if _, err := w.Write(p.certificate); err != nil {
		s.log.Debug("write the certificate", slog.Any("error", err))
	}
}

func (s *Simulator) confirmSubscription(w http.ResponseWriter, r *http.Request) {
	p, query := s.publisher.Load(), r.URL.Query()
	if p == nil || query.Get("Action") != "ConfirmSubscription" || query.Get("TopicArn") != p.events.TopicARN || query.Get("Token") != p.token {
		http.NotFound(w, r)
		return
	}
	p.mu.Lock()
	p.confirmed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	if _, err := io.WriteString(w, "<ConfirmSubscriptionResponse/>"); err != nil {
		s.log.Debug("write an answer", slog.Any("error", err))
	}
}
