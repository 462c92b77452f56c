// Package awsevents sets up, checks and reads the AWS resources that carry SES events: an SNS topic, and an SQS
// queue for installations without a public URL.
//
//   - awsevents.go: the client; the identity of the caller
//   - topic.go: the topic; subscription.go: its subscriptions, and what happens to messages that they do not accept
//   - queue.go: the queue and its dead-letter queue; receiving and deleting
//   - dead_letters.go: finding dead-letter queues, and making the one of a web server's subscription
//   - resource_policy.go: the policies of the topic (who may publish) and of the queue (who may send)
//   - iam_policy.go: the least IAM policies for running, checking and setting up MailStack
//
// Only this package and package ses use the AWS SDK.
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

// ErrNotFound is returned when the topic or queue does not exist.
var ErrNotFound = errors.New("it does not exist")

const callTimeout = 20 * time.Second

// Client calls SNS, SQS and STS in the AWS account of SES. It is safe for concurrent use.
type Client struct {
	topics   *sns.Client
	queues   *sqs.Client
	identity *sts.Client
	region   string
}

// New returns a client. It finds region, endpoints and credentials as the SES client does, and makes no call.
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

// Caller identifies the credentials in use.
type Caller struct {
	Account, ARN string
	Partition    string // aws, aws-cn, aws-us-gov
	Region       string
}

// Caller asks AWS who owns the credentials in use. That call needs no permission.
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

// TopicARN returns the ARN of a topic in the caller's account and region.
func (c Caller) TopicARN(name string) string {
	return strings.Join([]string{"arn", c.Partition, "sns", c.Region, c.Account, name}, ":")
}

// ConfigurationSetARN returns the ARN of an SES configuration set in the caller's account and region.
func (c Caller) ConfigurationSetARN(name string) string {
	return strings.Join([]string{"arn", c.Partition, "ses", c.Region, c.Account, "configuration-set/" + name}, ":")
}

// wrapError adds what was tried, and wraps ErrNotFound if the resource does not exist.
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
