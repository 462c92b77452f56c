package sns

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // signature version 1 is defined with SHA-1
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"time"
)

// The kinds of refusal. The first two are permanent; the third may pass.
var (
	// ErrMalformed means that the body is not an SNS message.
	ErrMalformed = errors.New("not a message of SNS")
	// ErrUntrusted means that the message does not come from a configured topic.
	ErrUntrusted = errors.New("not from a topic that is listened to")
	// ErrUnavailable means that the message cannot be verified now.
	ErrUnavailable = errors.New("the signature cannot be verified now")
)

const defaultTimeout = 5 * time.Second

// Config says which messages are accepted.
type Config struct {
	// Topics are the ARNs of the accepted topics. Empty means that every message is refused.
	Topics []string
	// TrustedHost is a host:port that is trusted besides AWS's, over plain HTTP: a simulator, in development and
	// tests. Empty means that only AWS is trusted.
	TrustedHost string
	// Transport fetches certificates and confirms subscriptions. Nil means a new http.Transport.
	Transport http.RoundTripper
	// Roots are the certificate authorities that certificates of AWS must lead to. Nil means the system's.
	Roots *x509.CertPool
	Now   func() time.Time // nil means time.Now
	Log   *slog.Logger     // nil means that nothing is logged
}

// Verifier verifies that messages come from SNS. It is safe for concurrent use.
type Verifier struct {
	config      Config
	client      *http.Client
	certificate *regexp.Regexp

	mu     sync.Mutex
	known  map[string]cachedKey
	fetch  chan struct{} // held while a certificate is fetched
	failed map[string]time.Time
}

// New returns a Verifier.
func New(config Config) *Verifier {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Transport == nil {
		config.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: defaultTimeout}).DialContext,
			TLSHandshakeTimeout:    defaultTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			IdleConnTimeout:        time.Minute,
			ForceAttemptHTTP2:      true,
		}
	}
	return &Verifier{
		config: config,
		client: &http.Client{
			Transport: config.Transport, Timeout: defaultTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		certificate: regexp.MustCompile(`^/[A-Za-z0-9_-]+\.pem$`),
		known:       map[string]cachedKey{},
		failed:      map[string]time.Time{},
		fetch:       make(chan struct{}, 1),
	}
}

// Verify parses a message and verifies that it comes from one of the topics. Its errors wrap one of those above.
func (v *Verifier) Verify(ctx context.Context, body []byte) (Message, error) {
	message, err := Parse(body)
	if err != nil {
		return message, err
	}
	// Check the topic before fetching the certificate, so that strangers cannot trigger outbound requests.
	if !slices.Contains(v.config.Topics, message.TopicArn) {
		return message, forged("the topic is not one of those that are listened to")
	}
	hash, sum, err := message.digest()
	if err != nil {
		return message, err
	}
	signature, err := base64.StdEncoding.DecodeString(message.Signature)
	if err != nil {
		return message, forged("the signature is not base64")
	}
	key, err := v.key(ctx, message.TopicArn, message.SigningCertURL)
	if err != nil {
		return message, err
	}
	if err := rsa.VerifyPKCS1v15(key, hash, sum, signature); err != nil {
		return message, forged("the signature does not fit")
	}
	return message, nil
}

// digest hashes the signed text: SHA-1 for signature version 1, SHA-256 for version 2.
func (m *Message) digest() (crypto.Hash, []byte, error) {
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(m.signedText())
		return crypto.SHA1, sum[:], nil
	case "2":
		sum := sha256.Sum256(m.signedText())
		return crypto.SHA256, sum[:], nil
	}
	return 0, nil, forged("the version of the signature is unknown")
}

func forged(why string) error { return fmt.Errorf("%w: %s", ErrUntrusted, why) }

// trusted parses a URL and checks that it leads to SNS in the region of the topic over https (or to TrustedHost), with
// nothing but a host, a path and a query.
func (v *Verifier) trusted(topic, raw string) (*url.URL, error) {
	target, err := url.Parse(raw)
	if err != nil || len(raw) > 2048 || target.User != nil || target.Fragment != "" || target.Opaque != "" {
		return nil, forged("a URL in it is malformed")
	}
	ours := v.config.TrustedHost != "" && target.Scheme == "http" && target.Host == v.config.TrustedHost
	aws := target.Scheme == "https" && target.Host == host(topic)
	if !ours && !aws {
		return nil, forged("a URL in it leads to another host than one of SNS")
	}
	return target, nil
}
