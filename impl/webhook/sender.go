package webhook

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
)

const (
	defaultTimeout = 15 * time.Second
	maxHeaders     = 64 << 10
	maxExcerpt     = 4 << 10
	// excerptShare is the part of the timeout that the response body gets once its status is known.
	excerptShare = 8
	userAgent    = "MailStack-Webhooks/1"
)

// Config configures a [Sender].
type Config struct {
	Policy Policy
	// Timeout bounds an attempt, from the lookup to the end of the response. Zero means 15 seconds.
	Timeout time.Duration
	// Roots are the trusted certificate authorities. Nil means the system's.
	Roots *x509.CertPool
	// Resolver looks names up. Nil means the system's.
	Resolver *net.Resolver
	// Now is the clock of the signatures. Nil means time.Now.
	Now func() time.Time
}

// Sender makes delivery attempts. It is safe for concurrent use.
type Sender struct {
	config      Config
	connections *connections
}

// NewSender returns a Sender.
func NewSender(config Config) *Sender {
	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Sender{config: config, connections: &connections{config: config}}
}

// Delivery is one event to deliver.
type Delivery struct {
	URL string
	// EventID is the same on every attempt, and so is every byte of Body.
	EventID uuid.UUID
	Body    string
	// Keys are the signing keys, the present one first.
	Keys []SigningKey
}

// Result is the result of an attempt.
type Result struct {
	Began    time.Time
	Duration time.Duration
	// Status is the HTTP status, or 0 without a response.
	Status int
	// Excerpt is the beginning of the response body, safe to store and show.
	Excerpt string
	// Failure tells people why the attempt failed. It is empty if the endpoint accepted the event.
	Failure string
	// RetryAfter is the pause that the endpoint requested, an hour at most.
	RetryAfter time.Duration
}

// Gone reports whether the endpoint responded 410: it wants no more events.
func (r Result) Gone() bool { return r.Status == http.StatusGone }

// Send makes one attempt. It follows no redirects, which could lead anywhere.
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
	if err != nil || target.Scheme != "http" && target.Scheme != "https" {
		return Result{Failure: "The URL cannot be used."}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, delivery.URL, strings.NewReader(delivery.Body))
	if err != nil {
		return Result{Failure: "The URL cannot be used."}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", userAgent)
	// Lets net/http repeat the request when the endpoint closes a kept connection in the same moment. Without a value
	// it is not sent.
	request.Header["Idempotency-Key"] = nil
	sign(request.Header, delivery.EventID, s.config.Now(), []byte(delivery.Body), delivery.Keys)
	response, err := s.connections.transport(target.Scheme).RoundTrip(request)
	if err != nil {
		return Result{Failure: failureText(err)}
	}
	// The rest of the response is discarded.
	defer func() { _ = response.Body.Close() }()
	result := Result{Status: response.StatusCode, RetryAfter: retryAfter(response.Header, s.config.Now())}
	// The status decides; a response that breaks off, or that takes long, is shown as far as it came.
	defer time.AfterFunc(s.config.Timeout/excerptShare, cancel).Stop()
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

// retryAfter parses both forms of the header (RFC 9110, section 10.2.3).
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

// printable makes foreign bytes safe to store and show: valid UTF-8 whose only control characters are line breaks
// and tabs.
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
