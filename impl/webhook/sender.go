package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/google/uuid"
)

const (
	defaultTimeout = 15 * time.Second
	maxHeaders     = 64 << 10
	maxExcerpt     = 4 << 10
	userAgent      = "MailStack-Webhooks/1"
)

// Config of a [Sender].
type Config struct {
	Policy Policy
	// Timeout bounds an attempt, from the look-up to the end of the answer. 0: 15 seconds.
	Timeout time.Duration
	// Roots are the authorities that sign certificates. nil: those of the system.
	Roots *x509.CertPool
	// Resolver looks names up. nil: the system's.
	Resolver *net.Resolver
	// Now is the clock of the signatures. nil: time.Now.
	Now func() time.Time
}

// Sender makes attempts. It is safe for concurrent use.
type Sender struct {
	config Config
	// transports by scheme: what may be connected to depends on it.
	transports map[string]*http.Transport
}

// NewSender makes a Sender.
func NewSender(config Config) *Sender {
	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Sender{config: config, transports: make(map[string]*http.Transport, 2)}
	for _, scheme := range []string{"http", "https"} {
		s.transports[scheme] = s.transport(scheme)
	}
	return s
}

// transport connects anew for every attempt, so that the address is looked up and judged for every attempt. It knows no
// proxy, which would connect for us, and takes no compressed answer, which could be larger than it looks.
func (s *Sender) transport(scheme string) *http.Transport {
	dialer := &net.Dialer{
		Resolver: s.config.Resolver,
		// Called with the very address of every connection, when names have been resolved: nothing can come in between.
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil || !s.config.Policy.allows(scheme, to.Addr()) {
				return errForbidden
			}
			return nil
		},
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.config.Roots},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaders,
	}
}

// Delivery is what is sent.
type Delivery struct {
	URL string
	// EventID is the same on every attempt, and so are the bytes of the body.
	EventID uuid.UUID
	Body    string
	// Keys sign it, the present one first.
	Keys []SigningKey
}

// Result is what became of an attempt.
type Result struct {
	Began    time.Time
	Duration time.Duration
	// Status is the HTTP status; 0 when no answer came.
	Status int
	// Excerpt is the beginning of the answer's body, fit to be stored and shown.
	Excerpt string
	// Failure says for people why it failed; empty when the endpoint took the event.
	Failure string
	// RetryAfter is what the endpoint asked for, an hour at most.
	RetryAfter time.Duration
}

// Gone tells whether the endpoint wants no more events.
func (r Result) Gone() bool { return r.Status == http.StatusGone }

// Send makes one attempt. Redirections are not followed: they could lead anywhere.
func (s *Sender) Send(ctx context.Context, delivery Delivery) Result {
	at, began := s.config.Now(), time.Now()
	result := s.attempt(ctx, delivery)
	result.Began, result.Duration = at, time.Since(began)
	return result
}

func (s *Sender) attempt(ctx context.Context, delivery Delivery) Result {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	target, err := url.Parse(delivery.URL)
	if err != nil || s.transports[target.Scheme] == nil {
		return Result{Failure: "The URL cannot be used."}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, delivery.URL, strings.NewReader(delivery.Body))
	if err != nil {
		return Result{Failure: "The URL cannot be used."}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", userAgent)
	sign(request.Header, delivery.EventID, s.config.Now(), []byte(delivery.Body), delivery.Keys)
	response, err := s.transports[target.Scheme].RoundTrip(request)
	if err != nil {
		return Result{Failure: failureText(err)}
	}
	// What is left of the answer is not wanted.
	defer func() { _ = response.Body.Close() }()
	result := Result{Status: response.StatusCode, RetryAfter: retryAfter(response.Header, s.config.Now())}
	// The status has decided; an answer that breaks off is shown as far as it came.
	begun, _ := io.ReadAll(io.LimitReader(response.Body, maxExcerpt))
	result.Excerpt = printable(begun)
	switch {
	case result.Status >= 300 && result.Status < 400:
		result.Failure = fmt.Sprintf("The endpoint answered %d; redirections are not followed.", result.Status)
	case result.Status < 200 || result.Status >= 300:
		result.Failure = fmt.Sprintf("The endpoint answered %d.", result.Status)
	}
	return result
}

// retryAfter reads the header in both of its forms (RFC 9110, 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	given := strings.TrimSpace(header.Get("Retry-After"))
	if given == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(given, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxPause)
	}
	at, err := http.ParseTime(given)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxPause)
}

// printable makes foreign bytes safe to store and show: valid UTF-8 without control characters but line breaks and tabs.
func printable(raw []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(raw), ""))
}
