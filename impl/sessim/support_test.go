package sessim_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

const set = "mailstack"

// zone is a resolver over records that a test publishes.
type zone struct {
	mu    sync.Mutex
	cname map[string][]string
	txt   map[string][]string
	mx    map[string][]dns.MX
	err   error
	asked int
}

var _ sessim.Resolver = (*dns.Resolver)(nil)

func newZone() *zone {
	return &zone{cname: map[string][]string{}, txt: map[string][]string{}, mx: map[string][]dns.MX{}}
}

func look[T any](z *zone, records map[string][]T, name string) ([]T, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked++
	return records[name], z.err
}

func (z *zone) CNAME(_ context.Context, name string) ([]string, error) { return look(z, z.cname, name) }

func (z *zone) TXT(_ context.Context, name string) ([]string, error) { return look(z, z.txt, name) }

func (z *zone) MX(_ context.Context, name string) ([]dns.MX, error) { return look(z, z.mx, name) }

func (z *zone) change(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f()
}

func (z *zone) publishDKIM(domain string, tokens []string) {
	z.change(func() {
		for _, token := range tokens {
			z.cname[token+"._domainkey."+domain] = []string{token + ".dkim.amazonses.com"}
		}
	})
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a simulator behind a real HTTP server, and a client of it.
type rig struct {
	*sessim.Simulator
	client *ses.Client
	url    string
}

func start(t testing.TB, c sessim.Config) *rig {
	t.Helper()
	s, err := sessim.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{Simulator: s, url: server.URL}
	r.client = r.connect(t, ses.Config{})
	return r
}

func (r *rig) connect(t testing.TB, c ses.Config) *ses.Client {
	t.Helper()
	c.Region, c.Endpoint, c.ConfigurationSet = "us-east-1", r.url, set
	c.StaticAccessKey, c.StaticSecretKey = "test", "test"
	client, err := ses.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// ready is a simulator with a configuration set and the verified domain mail.test.
func ready(t testing.TB, c sessim.Config) *rig {
	t.Helper()
	r := start(t, c)
	if err := r.client.EnsureConfigurationSet(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.client.CreateIdentity(t.Context(), "mail.test"); err != nil {
		t.Fatal(err)
	}
	return r
}

func message() ses.Message {
	return ses.Message{
		ID: uuid.New(), From: "hello@mail.test", FromName: "Jörg & Söhne", To: []string{"ada@example.com"},
		Subject: "Grüße", HTML: "<p>Grüße</p>", Text: "Grüße",
	}
}

// call makes a raw request of the API.
func (r *rig) call(t testing.TB, method, path, body string) (int, http.Header, map[string]any) {
	t.Helper()
	return r.callSigned(t, method, path, body, "AWS4-HMAC-SHA256 Credential=a/b/c/ses/aws4_request, SignedHeaders=host, Signature=00")
}

func (r *rig) callSigned(t testing.TB, method, path, body, authorization string) (int, http.Header, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &answer); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, data)
		}
	}
	return resp.StatusCode, resp.Header, answer
}

func wantClass(t testing.TB, err error, want ses.Class) {
	t.Helper()
	if got := ses.ClassOf(err); got != want {
		t.Errorf("class %q, want %q: %v", got, want, err)
	}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
