// Package ses speaks the Amazon SES API v2, and says what each failure means for the caller.
//
//   - client.go: [Client], region, endpoint and credentials
//   - identity.go: identities and their MAIL FROM domain
//   - account.go: the account's quota and the configuration set; event_destination.go: where its events go
//   - send.go: sending one message
//   - suppression.go: the suppression list of the account
//   - error.go: the class of a failure; wire.go: how far a request got, on which that rests
//   - event.go: reading what SES reports
//
// It and package awsevents, which is for SNS and SQS, are the only ones that know the AWS SDK.
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
	// The SDK keeps 10 idle connections per host: more senders than that would pay a TLS handshake
	// for most messages.
	defaultIdleConnections = 256
)

// Config says which SES to talk to.
type Config struct {
	// Region is the AWS region, such as "us-east-1". Empty: taken the AWS way (AWS_REGION, profile).
	Region string
	// Endpoint is the base URL of the service. Empty: AWS_ENDPOINT_URL_SESV2, AWS_ENDPOINT_URL, or the region's own.
	Endpoint string
	// ConfigurationSet is named in every send. Empty: none is.
	ConfigurationSet string
	// StaticAccessKey and StaticSecretKey are for development and tests: when both are set, no AWS
	// variable and no AWS file is read.
	StaticAccessKey, StaticSecretKey string
	// Timeout bounds every call as a whole, its retries included. 0 means 20 seconds.
	Timeout time.Duration
	// MaxConnections bounds the connections to SES. 0 means no bound, with 256 kept when idle.
	MaxConnections int
	// Log receives what an operator should know. nil: nothing is logged.
	Log *slog.Logger
}

// Client talks to one SES account in one region. It is safe for concurrent use.
type Client struct {
	sender           *sesv2.Client // never repeats a call
	admin            *sesv2.Client // repeats calls that SES throttled or failed
	region           string
	configurationSet string
	timeout          time.Duration
	log              *slog.Logger
}

// New returns a client. It makes no call to SES; without static keys it may read AWS's own
// configuration files and variables.
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
		// SES has no idempotency token: a repeated SendEmail can be a second message. The attempts
		// are the caller's, who records each before it is made.
		sender:           sesv2.NewFromConfig(cfg, base, func(o *sesv2.Options) { o.Retryer = aws.NopRetryer{} }),
		admin:            sesv2.NewFromConfig(cfg, base, func(o *sesv2.Options) { o.Retryer = adminRetries() }),
		region:           cfg.Region,
		configurationSet: c.ConfigurationSet,
		timeout:          timeout,
		log:              log,
	}, nil
}

// Region returns the AWS region in use; the MAIL FROM record of a domain names it.
func (c *Client) Region() string { return c.region }

// Load finds region and credentials.
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

// adminRetries repeats what SES throttled or failed, briefly: somebody may be waiting for the answer.
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
