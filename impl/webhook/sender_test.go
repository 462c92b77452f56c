package webhook_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/voostack/mailstack/impl/webhook"
)

// receiver is an endpoint with TLS that counts the requests it gets.
type receiver struct {
	*httptest.Server
	reached atomic.Int32
}

func newReceiver(t *testing.T, handle http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.reached.Add(1)
		handle(w, request)
	}))
	r.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	r.StartTLS()
	t.Cleanup(func() {
		r.CloseClientConnections()
		r.Close()
	})
	return r
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// sender returns a Sender that may post to this machine and trusts the authority of its certificate.
func (r *receiver) sender(change ...func(*webhook.Config)) *webhook.Sender {
	config := webhook.Config{Policy: webhook.Policy{Prefixes: loopback()}, Roots: x509.NewCertPool()}
	config.Roots.AddCert(r.Certificate())
	for _, change := range change {
		change(&config)
	}
	return webhook.NewSender(config)
}

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func delivery(url string) webhook.Delivery {
	return webhook.Delivery{
		URL: url, EventID: uuid.Must(uuid.NewV7()), Body: `{"type":"email.sent","n":"é"}`, Keys: []webhook.SigningKey{bytes.Repeat([]byte{7}, 32)},
	}
}

func TestDeliveriesAreSigned(t *testing.T) {
	t.Parallel()
	type got struct {
		header http.Header
		body   []byte
	}
	came := make(chan got, 1)
	r := newReceiver(t, func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		came <- got{request.Header, body}
	})
	one := delivery(r.URL + "/a?b=c")
	old, err := webhook.NewSigningKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one.Keys = append(one.Keys, old)
	if result := r.sender().Send(t.Context(), one); result.Failure != "" || result.Status != http.StatusOK {
		t.Fatalf("%+v", result)
	}
	found := <-came
	for _, key := range one.Keys {
		verifier, err := standardwebhooks.NewWebhook(key.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(found.body, found.header); err != nil {
			t.Error(err)
		}
		if verifier.Verify(append(found.body, ' '), found.header) == nil {
			t.Error("another body is accepted")
		}
		if strings.Contains(fmt.Sprintf("%s %v", key, key), key.Reveal()) {
			t.Error("a key shows itself")
		}
	}
	if found.header.Get("webhook-id") != one.EventID.String() || string(found.body) != one.Body || len(found.header.Get("X-MailStack-Signature")) != 64 {
		t.Errorf("came as %v", found)
	}
}

func TestEndpointsThatFail(t *testing.T) {
	t.Parallel()
	private := newReceiver(t, status(http.StatusOK))
	for name, c := range map[string]struct {
		handle  http.HandlerFunc
		status  int
		failure string
	}{
		"500":                   {status(500), 500, "answered 500"},
		"404":                   {status(404), 404, "answered 404"},
		"410":                   {status(410), 410, "answered 410"},
		"304":                   {status(304), 304, "redirections are not followed"},
		"redirect":              {http.RedirectHandler(private.URL, http.StatusMovedPermanently).ServeHTTP, 301, "redirections are not followed"},
		"redirect that repeats": {http.RedirectHandler(private.URL, http.StatusTemporaryRedirect).ServeHTTP, 307, "redirections are not followed"},
		"reset": {func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_ = connection.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0)
			_ = connection.(*tls.Conn).NetConn().Close()
		}, 0, "closed before an answer"},
		"nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = connection.Write([]byte("SMTP 220 hello\r\n\r\n"))
			_ = connection.Close()
		}, 0, "No valid HTTP answer"},
		"endless headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("a", 1<<20))
		}, 0, "No valid HTTP answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, c.handle)
			result := r.sender().Send(t.Context(), delivery(r.URL))
			if result.Status != c.status || !strings.Contains(result.Failure, c.failure) || result.Gone() != (c.status == 410) {
				t.Errorf("%+v", result)
			}
			if r.reached.Load() != 1 {
				t.Errorf("it was reached %d times", r.reached.Load())
			}
		})
	}
	t.Cleanup(func() {
		if n := private.reached.Load(); n != 0 {
			t.Errorf("a redirection was followed %d times", n)
		}
	})
}

func TestEndpointThatHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	r := newReceiver(t, func(_ http.ResponseWriter, _ *http.Request) { <-release })
	defer close(release)
	short := func(c *webhook.Config) { c.Timeout = 100 * time.Millisecond }
	result := r.sender(short).Send(t.Context(), delivery(r.URL))
	if result.Failure != "No answer came in time." || result.Duration < 100*time.Millisecond || result.Duration > 10*time.Second {
		t.Errorf("%+v", result)
	}
	// silent accepts connections and sends nothing, not even TLS.
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	if result := r.sender(short).Send(t.Context(), delivery("https://"+silent.Addr().String())); result.Failure != "No answer came in time." {
		t.Errorf("%+v", result)
	}
	// gone is an address at which no server listens.
	gone := silent.Addr().String()
	_ = silent.Close()
	if result := r.sender().Send(t.Context(), delivery("https://"+gone)); result.Failure != "The connection was refused." {
		t.Errorf("%+v", result)
	}
}

func TestAnswerIsCut(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	done := make(chan struct{})
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(done)
		chunk := bytes.Repeat([]byte("é\x00\x1b\u202e\xff"), 8<<10)
		for written.Load() < 200<<20 {
			n, err := w.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	result := r.sender().Send(t.Context(), delivery(r.URL))
	<-done
	if result.Failure != "" || result.Status != http.StatusOK {
		t.Errorf("%+v", result)
	}
	if n := written.Load(); n > 50<<20 {
		t.Errorf("%d bytes were taken", n)
	}
	if !utf8.ValidString(result.Excerpt) || len(result.Excerpt) > 4096 || len(result.Excerpt) < 500 || strings.Trim(result.Excerpt, "é") != "" {
		t.Errorf("the excerpt has %d bytes: %.40q", len(result.Excerpt), result.Excerpt)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Second)
	for given, want := range map[string]time.Duration{
		"": 0, "30": 30 * time.Second, " 30 ": 30 * time.Second, "999999": time.Hour, "99999999999999999999": 0, "-1": 0, "soon": 0, "1.5": 0,
		now.Add(time.Minute).UTC().Format(http.TimeFormat):    time.Minute,
		now.Add(-time.Minute).UTC().Format(http.TimeFormat):   0,
		now.Add(48 * time.Hour).UTC().Format(http.TimeFormat): time.Hour,
	} {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", given)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		result := r.sender(func(c *webhook.Config) { c.Now = func() time.Time { return now } }).Send(t.Context(), delivery(r.URL))
		if result.RetryAfter != want || result.Status != http.StatusTooManyRequests {
			t.Errorf("%q: %+v", given, result)
		}
	}
}

func TestCertificatesAreVerified(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, status(http.StatusOK))
	unknown := r.sender(func(c *webhook.Config) { c.Roots = x509.NewCertPool() }).Send(t.Context(), delivery(r.URL))
	if r.reached.Load() != 0 || !strings.Contains(unknown.Failure, "not signed by a known authority") {
		t.Errorf("an unknown authority: %+v", unknown)
	}
	expired := httptest.NewUnstartedServer(status(http.StatusOK))
	certificate, parsed := selfSigned(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	expired.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	expired.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	expired.StartTLS()
	t.Cleanup(expired.Close)
	trusting := r.sender(func(c *webhook.Config) { c.Roots.AddCert(parsed) })
	if result := trusting.Send(t.Context(), delivery(expired.URL)); result.Failure != "The certificate has expired or is not yet valid." {
		t.Errorf("an expired certificate: %+v", result)
	}
	if result := r.sender().Send(t.Context(), delivery(strings.Replace(r.URL, "127.0.0.1", "127.0.0.2", 1))); result.Failure == "" || r.reached.Load() != 0 {
		t.Errorf("another host: %+v", result)
	}
	plain := httptest.NewServer(status(http.StatusOK))
	t.Cleanup(plain.Close)
	if result := r.sender().Send(t.Context(), delivery("https://"+plain.Listener.Addr().String())); result.Failure != "No TLS connection could be made." {
		t.Errorf("no TLS: %+v", result)
	}
}

func selfSigned(t *testing.T, from, until time.Time) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: from, NotAfter: until, IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, parsed
}
