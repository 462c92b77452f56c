package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/voostack/mailstack/contracttests/harness"
)

const (
	mostBody = 1 << 20
	// refusals is the maximum number of deliveries that get a 500 the first time. None is refused twice, because
	// the third attempt would come only after five minutes.
	refusals = 20
	// refuseEvery spreads the refusals over the deliveries.
	refuseEvery = 50
)

// receipt is an event as webhooks received it.
type receipt struct {
	id, kind, email, recipient, createdAt string
	body                                  string
	hook                                  string
	// taken counts the deliveries that got a 200.
	taken int
}

// receiver is the endpoint of all webhooks.
type receiver struct {
	server *httptest.Server

	mu        sync.Mutex
	verifiers map[string]*standardwebhooks.Webhook // by path
	events    map[string]*receipt                  // by webhook-id
	refused   int
	// wrong holds the deliveries that break a promise.
	wrong []error
}

// newReceiver serves HTTPS with a certificate for 127.0.0.1, and writes its authority to a file.
func newReceiver(authority string) (*receiver, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of the receiver: %w", err)
	}
	certificate, err := harness.Certify(key)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		return nil, fmt.Errorf("write the certificate of the receiver: %w", err)
	}
	pair, err := keyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	r := &receiver{verifiers: map[string]*standardwebhooks.Webhook{}, events: map[string]*receipt{}}
	r.server = httptest.NewUnstartedServer(r)
	// A killed process leaves unfinished handshakes.
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	r.server.StartTLS()
	return r, nil
}

func (r *receiver) expect(path, secret string) error {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("read the secret of a webhook: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verifiers[path] = verifier
	return nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, mostBody))
	if err != nil {
		return // the process died while it posted
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	verifier, known := r.verifiers[request.URL.Path]
	if !known {
		r.wrong = append(r.wrong, errors.New("a delivery to another path: "+request.URL.Path))
		w.WriteHeader(http.StatusNotFound)
		return
	}
	err = verifier.Verify(body, request.Header)
	if err == nil {
		err = r.take(request, body, w)
	}
	if err != nil {
		r.wrong = append(r.wrong, err)
		w.WriteHeader(http.StatusBadRequest)
	}
}

// take records a delivery. Now and then it refuses one the first time; the next attempt has the same id.
func (r *receiver) take(request *http.Request, body []byte, w http.ResponseWriter) error {
	var payload struct {
		ID, Type, CreatedAt string
		Data                struct {
			ID      string
			Details struct{ Recipient string }
		}
	}
	if err := json.Unmarshal(body, &payload); err != nil {
		return fmt.Errorf("read a delivery: %w", err)
	}
	id := request.Header.Get("webhook-id")
	if id != payload.ID {
		return fmt.Errorf("webhook-id %s came with the payload of %s", id, payload.ID)
	}
	seen, again := r.events[id]
	if !again {
		seen = &receipt{
			id: id, kind: payload.Type, email: payload.Data.ID, recipient: payload.Data.Details.Recipient,
			createdAt: payload.CreatedAt, body: string(body), hook: request.URL.Path,
		}
		r.events[id] = seen
		if len(r.events)%refuseEvery == 0 && r.refused < refusals {
			r.refused++
			w.WriteHeader(http.StatusInternalServerError)
			return nil
		}
	}
	if seen.body != string(body) || seen.hook != request.URL.Path {
		return fmt.Errorf("the event %s came with other bytes, or to another webhook", id)
	}
	seen.taken++
	return nil
}

// duplicated returns the number of deliveries after one that was accepted.
func (r *receiver) duplicated() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := 0
	for _, one := range r.events {
		count += max(one.taken-1, 0)
	}
	return count
}

// hooks returns the event types of the webhooks, by the path of each at the receiver.
func hooks() map[string][]string {
	return map[string][]string{
		"/sent":      {"email.sent"},
		"/delivered": {"email.delivered"},
		"/lost":      {"email.bounced", "email.complained", "email.failed"},
		"/interest":  {"email.opened", "email.clicked"},
	}
}

// belongs reports whether the webhook at path subscribes to a type of event.
func belongs(path, kind string) bool {
	return slices.Contains(hooks()[path], kind)
}
