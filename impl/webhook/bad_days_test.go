package webhook_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/webhook"
)

// together makes attempts at once, and returns the failures of those that failed.
func together(t *testing.T, sender *webhook.Sender, url string, n int) (failures []string) {
	t.Helper()
	var mutex sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if result := sender.Send(t.Context(), delivery(url)); result.Failure != "" {
				mutex.Lock()
				defer mutex.Unlock()
				failures = append(failures, result.Failure)
			}
		})
	}
	all.Wait()
	return failures
}

// A receiver that is restarted, or that keeps connections for a short time only, closes them between deliveries, while
// others are on their way.
func TestReceiverThatClosesIdleConnections(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	r := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	r.Config.IdleTimeout = time.Millisecond
	r.Start()
	t.Cleanup(r.Close)
	sender := plainSender()
	for range 200 {
		if failures := together(t, sender, r.URL, 8); len(failures) > 0 {
			t.Fatalf("%d of 8 failed: %q", len(failures), failures)
		}
	}
	if n := reached.Load(); n != 200*8 {
		t.Errorf("it was reached %d times", n)
	}
}

func TestReceiverThatChangesItsCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first, trusted := selfSigned(t, now.Add(-time.Hour), now.Add(time.Hour))
	second, alsoTrusted := selfSigned(t, now.Add(-time.Hour), now.Add(time.Hour))
	foreign, _ := selfSigned(t, now.Add(-time.Hour), now.Add(time.Hour))
	var present atomic.Pointer[tls.Certificate]
	present.Store(&first)
	r := newReceiver(t, status(http.StatusNoContent))
	r.TLS.Certificates = nil
	r.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{*present.Load()}, MinVersion: tls.VersionTLS12}, nil
	}
	sender := r.sender(func(c *webhook.Config) {
		c.Roots.AddCert(trusted)
		c.Roots.AddCert(alsoTrusted)
		c.Now = func() time.Time { return now }
	})
	for _, step := range []struct {
		certificate *tls.Certificate
		later       time.Duration
		failed      bool
	}{
		{&first, 0, false},
		{&second, 0, false}, // over kept connections
		{&second, time.Minute, false},
		{&foreign, 0, false}, // what is kept was trusted
		{&foreign, time.Minute, true},
		{&first, 0, false},
	} {
		now = now.Add(step.later)
		present.Store(step.certificate)
		failures := together(t, sender, r.URL, 8)
		if (len(failures) == 8) != step.failed || (len(failures) == 0) == step.failed {
			t.Errorf("%+v: failures are %q", step, failures)
		}
	}
}

// A name leads elsewhere while connections to its former address are kept: they serve for a minute at most, and a
// connection that is made meanwhile, also in the place of one that was closed, is judged by the new address.
func TestNameThatLeadsElsewhereWhileConnectionsAreKept(t *testing.T) {
	t.Parallel()
	var closes atomic.Bool
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if closes.Load() {
			connection, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = connection.Close()
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	_, port, err := net.SplitHostPort(r.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	sender := r.sender(func(c *webhook.Config) {
		c.Policy.Prefixes = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.Resolver = answering(t, "127.0.0.1", "127.0.0.2", "10.0.0.1", "127.0.0.1")
	})
	url := "https://example.com.:" + port
	for i, step := range []struct {
		closes  bool
		failure string
	}{
		{false, ""},
		{false, ""}, // over the kept connection
		{true, refusedAddress},
		{false, refusedAddress},
		{false, ""},
	} {
		closes.Store(step.closes)
		if result := sender.Send(t.Context(), delivery(url)); result.Failure != step.failure {
			t.Errorf("attempt %d: %+v", i+1, result)
		}
	}
}
