// Package ses calls the Amazon SES API v2 and classifies each failure by what the caller must do.
//
//   - client.go: [Client], region, endpoint and credentials
//   - identity.go: identities and their MAIL FROM domains
//   - account.go: the account's quota, and the configuration set; event_destination.go: where its events go
//   - send.go: sending one message
//   - suppression.go: the account's suppression list
//   - tenant.go: tenants, and what they may send from
//   - error.go: the class of a failure; rejection.go: refusals that are about one message; wire.go: how far a request
//     got, which decides that class
//   - event.go: parsing the events that SES publishes
//
// Only this package and package awsevents (SNS and SQS) use the AWS SDK.
package ses

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
)

const (
	defaultTimeout = 20 * time.Second
	dialTimeout    = 5 * time.Second
	// The SDK keeps 10 idle connections per host: with more senders than that, most messages would pay for a TLS
	// handshake.
	defaultIdleConnections = 256
)

// Config selects the SES endpoint and account.
type Config struct {
	// Region is the AWS region, such as "us-east-1". Empty means AWS's own sources (AWS_REGION, profile).
	Region string
	// Endpoint is the base URL of the service. Empty means AWS_ENDPOINT_URL_SESV2, AWS_ENDPOINT_URL, or the
	// region's own.
	Endpoint string
	// ConfigurationSet is named in every send. Empty means that no set is named.
	ConfigurationSet string
	// StaticAccessKey and StaticSecretKey are for development and tests: when both are set, no AWS variable or file
	// is read.
	StaticAccessKey, StaticSecretKey string
	// Timeout bounds every call as a whole, including its retries. Zero means 20 seconds.
	Timeout time.Duration
	// MaxConnections bounds the connections to SES. Zero means no bound, with at most 256 kept idle.
	MaxConnections int
	// Log receives what an operator should know. Nil means that nothing is logged.
	Log *slog.Logger
}

// Client talks to one SES account in one region. It is safe for concurrent use.
type Client struct {
	sender           *sesv2.Client // never retries a call
	admin            *sesv2.Client // retries calls that SES throttled or failed
	region           string
	configurationSet string
	timeout          time.Duration
	log              *slog.Logger
}

// New returns a client. It does not call SES; without static keys it may read AWS's configuration files and
// variables.
func New(ctx context.Context, c Config) (*Client, error) {
	cfg, err := c.Load(ctx)
	if err != nil {
		return nil, err
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	transport := newTransport(c.MaxConnections)
	base := func(o *sesv2.Options) {
		o.HTTPClient = transport
		if c.Endpoint != "" {
			o.BaseEndpoint = aws.String(c.Endpoint)
		}
	}
	return &Client{
		// SES has no idempotency token: a retried SendEmail can send a second message. The caller does the
		// retrying, and records each attempt before making it.
		sender:           sesv2.NewFromConfig(cfg, base, func(o *sesv2.Options) { o.Retryer = aws.NopRetryer{} }),
		admin:            sesv2.NewFromConfig(cfg, base, func(o *sesv2.Options) { o.Retryer = adminRetries() }),
		region:           cfg.Region,
		configurationSet: c.ConfigurationSet,
		timeout:          timeout,
		log:              log,
	}, nil
}

// Region returns the AWS region in use. The MAIL FROM record of a domain contains it.
func (c *Client) Region() string { return c.region }

// Load finds the region and the credentials.
func (c Config) Load(ctx context.Context) (aws.Config, error) {
	cfg, err := c.load(ctx)
	if err == nil && cfg.Region == "" {
		err = errors.New("no AWS region is set: set AWS_REGION")
	}
	return cfg, err
}

func (c Config) load(ctx context.Context) (aws.Config, error) {
	if c.StaticAccessKey != "" && c.StaticSecretKey != "" {
		return aws.Config{
			Region:      c.Region,
			Credentials: credentials.NewStaticCredentialsProvider(c.StaticAccessKey, c.StaticSecretKey, ""),
		}, nil
	}
	var options []func(*config.LoadOptions) error
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	return cfg, nil
}

// adminRetries retries what SES throttled or failed, briefly: a person may be waiting for the result.
func adminRetries() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.MaxBackoff = 500 * time.Millisecond
	})
}

func newTransport(maxConnections int) *transport {
	idle := defaultIdleConnections
	if maxConnections > 0 {
		idle = maxConnections
	}
	client := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = dialTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.MaxConnsPerHost = maxConnections
			t.MaxIdleConns = idle
			t.MaxIdleConnsPerHost = idle
		})
	return &transport{next: client.Freeze()}
}
