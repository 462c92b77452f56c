package awsevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/voostack/mailstack/impl/ses"
)

const (
	// MaxReceived is the maximum number of messages in one response of SQS.
	MaxReceived = 10
	// shortPoll is the wait of a receiver that takes what is there and then ends. Any wait makes SQS look at all its servers.
	shortPoll = 2 * time.Second
	// longPoll is the longest wait that SQS allows a receiver.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
	longPoll = 20 * time.Second
	// pollTimeout bounds a receiving call, which may wait for longPoll.
	pollTimeout = longPoll + 10*time.Second
	// visibilityTimeout is how long SQS hides a received message from other receivers: enough to store ten of them.
	visibilityTimeout = time.Minute
	// retentionPeriod is the longest that SQS allows. A message that was received maxReceiveCount times without
	// being deleted goes to the dead-letter queue. The count is the highest that SQS allows, which lasts for most
	// of a day: a database that accepts connections but no writes (its disk is full, it is a standby) must not send
	// readable messages there.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html
	retentionPeriod = 14 * 24 * time.Hour
	maxReceiveCount = 1000

	// DeadLetterSuffix ends the name of the dead-letter queue.
	DeadLetterSuffix       = "-dead"
	attributeARN           = "QueueArn"
	attributeRedrivePolicy = "RedrivePolicy"
)

// QueueMessage is a received message. It must be deleted within a minute, or it is delivered again.
type QueueMessage struct {
	ID, Receipt, Body string
}

// Queue is an SQS queue of the account. It is safe for concurrent use.
type Queue struct {
	client *sqs.Client
	URL    string
	wait   time.Duration
}

// Queue returns the queue with a URL, whether or not it exists.
func (c *Client) Queue(url string) *Queue { return &Queue{client: c.queues, URL: url, wait: longPoll} }

// Impatient returns the same queue, whose Receive waits only two seconds for the first message.
func (q *Queue) Impatient() *Queue { return &Queue{client: q.client, URL: q.URL, wait: shortPoll} }

// EnsureQueue makes sure that a queue exists that receives from a topic, and a second one for its dead letters.
func (c *Client) EnsureQueue(ctx context.Context, name, topic string) (queue *Queue, arn string, state ses.Change, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	dead, deadState, err := c.findOrCreate(ctx, name+DeadLetterSuffix, map[string]string{"MessageRetentionPeriod": seconds(retentionPeriod)})
	if err != nil {
		return nil, "", "", err
	}
	deadARN, err := dead.ARN(ctx)
	if err != nil {
		return nil, "", "", err
	}
	queue, state, err = c.findOrCreate(ctx, name, map[string]string{
		"MessageRetentionPeriod": seconds(retentionPeriod), "VisibilityTimeout": seconds(visibilityTimeout),
		"ReceiveMessageWaitTimeSeconds": seconds(longPoll),
	})
	if err != nil {
		return nil, "", "", err
	}
	arn, changed, err := queue.complete(ctx, topic, deadARN)
	if err != nil {
		return nil, "", "", err
	}
	if state == ses.Unchanged && (changed || deadState == ses.Created) {
		state = ses.Updated
	}
	return queue, arn, state, nil
}

func seconds(length time.Duration) string { return strconv.Itoa(int(length / time.Second)) }

func (c *Client) findOrCreate(ctx context.Context, name string, attributes map[string]string) (*Queue, ses.Change, error) {
	out, err := c.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(name)})
	if err == nil {
		return c.Queue(aws.ToString(out.QueueUrl)), ses.Unchanged, nil
	}
	if err := wrapError("look for the queue "+name, err); !errors.Is(err, ErrNotFound) {
		return nil, "", err
	}
	made, err := c.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: attributes})
	if err != nil {
		return nil, "", wrapError("create the queue "+name, err)
	}
	return c.Queue(aws.ToString(made.QueueUrl)), ses.Created, nil
}

// complete sets the queue's policy, and its dead-letter queue unless one is set already.
func (q *Queue) complete(ctx context.Context, topic, deadARN string) (arn string, changed bool, err error) {
	known, err := q.attributes(ctx, types.QueueAttributeNameAll)
	if err != nil {
		return "", false, err
	}
	arn = known[attributeARN]
	wanted := map[string]string{}
	policy, changed, err := mergeStatement(known[attributePolicy], allowSend(arn, topic))
	if err != nil {
		return "", false, err
	}
	if changed {
		wanted[attributePolicy] = policy
	}
	if known[attributeRedrivePolicy] == "" {
		redrive, err := json.Marshal(map[string]any{"deadLetterTargetArn": deadARN, "maxReceiveCount": maxReceiveCount})
		if err != nil {
			return "", false, fmt.Errorf("write the redrive policy: %w", err)
		}
		wanted[attributeRedrivePolicy] = string(redrive)
	}
	if len(wanted) == 0 {
		return arn, false, nil
	}
	_, err = q.client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: aws.String(q.URL), Attributes: wanted})
	if err != nil {
		return "", false, wrapError("set up the queue", err)
	}
	return arn, true, nil
}

func (q *Queue) attributes(ctx context.Context, names ...types.QueueAttributeName) (map[string]string, error) {
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(q.URL), AttributeNames: names})
	if err != nil {
		return nil, wrapError("read the queue", err)
	}
	return out.Attributes, nil
}

// ARN fetches the queue's ARN. ErrNotFound means that there is no such queue.
func (q *Queue) ARN(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := q.attributes(ctx, types.QueueAttributeNameQueueArn)
	return found[attributeARN], err
}

// Receive receives up to MaxReceived messages, and waits up to 20 seconds for the first one, unless the queue is impatient.
func (q *Queue) Receive(ctx context.Context) ([]QueueMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(q.URL), MaxNumberOfMessages: MaxReceived,
		WaitTimeSeconds: int32(q.wait / time.Second), VisibilityTimeout: int32(visibilityTimeout / time.Second),
	})
	if err != nil {
		return nil, wrapError("receive from the queue", err)
	}
	found := make([]QueueMessage, len(out.Messages))
	for i, one := range out.Messages {
		found[i] = QueueMessage{ID: aws.ToString(one.MessageId), Receipt: aws.ToString(one.ReceiptHandle), Body: aws.ToString(one.Body)}
	}
	return found, nil
}

// Delete deletes received messages, at most MaxReceived.
func (q *Queue) Delete(ctx context.Context, messages []QueueMessage) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, one := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(one.Receipt)}
	}
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(q.URL), Entries: entries})
	if err != nil {
		return wrapError("delete from the queue", err)
	}
	if n := len(out.Failed); n > 0 {
		return fmt.Errorf("delete from the queue: %d of %d messages: %s", n, len(messages), aws.ToString(out.Failed[0].Code))
	}
	return nil
}
