package contracttests

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/voostack/mailstack/impl/webhook"
)

// webhookPolicy lets webhooks reach receivers on this machine, with TLS.
func webhookPolicy(t testing.TB) webhook.Policy {
	t.Helper()
	prefixes, err := webhook.ParsePrefixes("127.0.0.0/8, ::1/128")
	must(t, err)
	return webhook.Policy{Prefixes: prefixes}
}

// testRoots returns the authorities that sign the certificates of httptest.
func testRoots(t testing.TB) *x509.CertPool {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return roots
}

// delivered is a delivery that a receiver got.
type delivered struct {
	header http.Header
	body   []byte
}

func (d delivered) id() string { return d.header.Get("webhook-id") }

// receiver is an endpoint of a customer.
type receiver struct {
	url string

	mutex    sync.Mutex
	received []delivered
	status   int
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusNoContent}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.received = append(r.received, delivered{request.Header.Clone(), body})
		if r.status >= http.StatusBadRequest {
			http.Error(w, "database is down", r.status)
			return
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook?from=mailstack"
	return r
}

func (r *receiver) answer(status int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.status = status
}

func (r *receiver) all() []delivered {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.received)
}

// await waits for n deliveries and returns them.
func (r *receiver) await(t testing.TB, n int) []delivered {
	t.Helper()
	eventually(t, fmt.Sprintf("%d deliveries came", n), func() bool { return len(r.all()) >= n })
	return r.all()
}

// accepts verifies a delivery with the public library of Standard Webhooks, and compares it with the schema of the
// callback.
func accepts(t testing.TB, secret string, one delivered) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	must(t, err)
	if err := verifier.Verify(one.body, one.header); err != nil {
		t.Errorf("the public verifier refuses: %v", err)
	}
	var event map[string]any
	must(t, json.Unmarshal(one.body, &event))
	if event["id"] != one.id() {
		t.Errorf("webhook-id is %s, the event %v", one.id(), event["id"])
	}
	callback := document(t).Paths.Find(webhooksPath).Post.Callbacks["event"].Value.Value("{$request.body#/url}").Post
	if err := callback.RequestBody.Value.Content.Get("application/json").Schema.Value.VisitJSON(event, openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
		t.Errorf("the event breaks its schema: %v\n%s", err, one.body)
	}
	for _, parameter := range callback.Parameters {
		if err := parameter.Value.Schema.Value.VisitJSON(one.header.Get(parameter.Value.Name)); err != nil {
			t.Errorf("header %s: %v", parameter.Value.Name, err)
		}
	}
	if one.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(one.header.Get("User-Agent"), "MailStack") {
		t.Errorf("came with %v", one.header)
	}
}
