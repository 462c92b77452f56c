// Package awsevents sets up, checks and reads what carries the events of Amazon SES: a topic of Amazon SNS, and a queue of
// Amazon SQS for installations without a public URL.
//
//   - awsevents.go: the client; whose credentials are used
//   - topic.go: the topic and its subscriptions
//   - queue.go: the queue and its dead letters; receiving and deleting
//   - resource_policy.go: the policies of topic and queue: who may publish, and send
//   - iam_policy.go: the least policies of those who run, check and set up MailStack
//
// It and package ses are the only ones that know the AWS SDK.
package awsevents

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/voostack/mailstack/impl/ses"
)

// ErrNotFound is of what is not there.
var ErrNotFound = errors.New("it does not exist")

const callTimeout = 20 * time.Second

// Client talks to the account in which SES is. It is safe for concurrent use.
type Client struct {
	topics   *sns.Client
	queues   *sqs.Client
	identity *sts.Client
	region   string
}

// New returns a client that finds region, endpoints and credentials as that of SES does. It makes no call.
func New(ctx context.Context, config ses.Config) (*Client, error) {
	cfg, err := config.Load(ctx)
	if err != nil {
		return nil, err
	}
	if config.Endpoint != "" {
		cfg.BaseEndpoint = aws.String(config.Endpoint)
	}
	return &Client{
		topics: sns.NewFromConfig(cfg), queues: sqs.NewFromConfig(cfg), identity: sts.NewFromConfig(cfg), region: cfg.Region,
	}, nil
}

// Caller is whose credentials are used.
type Caller struct {
	Account, ARN string
	Partition    string // aws, aws-cn, aws-us-gov
	Region       string
}

// Caller asks AWS whose credentials are used, for which nobody needs a permission.
func (c *Client) Caller(ctx context.Context) (Caller, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Caller{}, wrapError("ask whose credentials these are", err)
	}
	caller := Caller{Account: aws.ToString(out.Account), ARN: aws.ToString(out.Arn), Partition: "aws", Region: c.region}
	if parts := strings.Split(caller.ARN, ":"); len(parts) > 1 && parts[1] != "" {
		caller.Partition = parts[1]
	}
	return caller, nil
}

// TopicARN is that of a topic of the caller's account and region.
func (c Caller) TopicARN(name string) string {
	return strings.Join([]string{"arn", c.Partition, "sns", c.Region, c.Account, name}, ":")
}

// ConfigurationSetARN is that of a configuration set of SES, likewise.
func (c Caller) ConfigurationSetARN(name string) string {
	return strings.Join([]string{"arn", c.Partition, "ses", c.Region, c.Account, "configuration-set/" + name}, ":")
}

// wrapError says what was being tried, and whether the thing is not there.
func wrapError(what string, err error) error {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NotFound", "NotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue":
			return fmt.Errorf("%s: %w", what, ErrNotFound)
		}
		return fmt.Errorf("%s: %s: %s", what, api.ErrorCode(), api.ErrorMessage())
	}
	return fmt.Errorf("%s: %w", what, err)
}
