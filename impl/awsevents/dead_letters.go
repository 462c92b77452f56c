package awsevents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/voostack/mailstack/impl/ses"
)

// deadLetterOf returns the ARN of the queue that a redrive policy names, or "".
func deadLetterOf(redrivePolicy string) (string, error) {
	if redrivePolicy == "" {
		return "", nil
	}
	var policy struct {
		DeadLetterTargetARN string `json:"deadLetterTargetArn"`
	}
	if err := json.Unmarshal([]byte(redrivePolicy), &policy); err != nil {
		return "", fmt.Errorf("read a redrive policy: %w", err)
	}
	return policy.DeadLetterTargetARN, nil
}

// EnsureDeadLetters makes sure that a queue exists for what a topic cannot deliver to a web server, named like the topic, and that
// the topic may send to it.
// https://docs.aws.amazon.com/sns/latest/dg/sns-configure-dead-letter-queue.html
func (c *Client) EnsureDeadLetters(ctx context.Context, topic string) (queue *Queue, arn string, state ses.Change, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	name := lastOf(topic) + DeadLetterSuffix
	queue, state, err = c.findOrCreate(ctx, name, map[string]string{"MessageRetentionPeriod": seconds(retentionPeriod)})
	if err != nil {
		return nil, "", "", err
	}
	known, err := queue.attributes(ctx, types.QueueAttributeNameQueueArn, types.QueueAttributeNamePolicy)
	if err != nil {
		return nil, "", "", err
	}
	arn = known[attributeARN]
	policy, changed, err := mergeStatement(known[attributePolicy], allowSend(arn, topic))
	if err != nil || !changed {
		return queue, arn, state, err
	}
	_, err = queue.client.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{
		QueueUrl: aws.String(queue.URL), Attributes: map[string]string{attributePolicy: policy},
	})
	if err != nil {
		return nil, "", "", wrapError("let the topic send to the queue "+name, err)
	}
	if state == ses.Unchanged {
		state = ses.Updated
	}
	return queue, arn, state, nil
}

func lastOf(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

// ErrNoDeadLetters means that nothing keeps what cannot be delivered.
var ErrNoDeadLetters = errors.New("there is no dead-letter queue")

// DeadLettersOf finds the dead-letter queue of a queue. Messages in it were received too often.
func (c *Client) DeadLettersOf(ctx context.Context, queue *Queue) (*Queue, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	known, err := queue.attributes(ctx, types.QueueAttributeNameRedrivePolicy)
	if err != nil {
		return nil, err
	}
	arn, err := deadLetterOf(known[attributeRedrivePolicy])
	if err != nil {
		return nil, err
	}
	return c.QueueOfARN(ctx, arn)
}

// QueueOfARN finds a queue of the account by its ARN.
func (c *Client) QueueOfARN(ctx context.Context, arn string) (*Queue, error) {
	if arn == "" {
		return nil, ErrNoDeadLetters
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.queues.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(lastOf(arn))})
	if err != nil {
		return nil, wrapError("look for the queue "+arn, err)
	}
	return c.Queue(aws.ToString(out.QueueUrl)), nil
}

// Length returns about how many messages a queue holds, including those that a receiver has.
func (q *Queue) Length(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	counts := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}
	found, err := q.attributes(ctx, counts...)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, name := range counts {
		count, err := strconv.Atoi(found[string(name)])
		if err != nil {
			return 0, fmt.Errorf("read the length of the queue: %w", err)
		}
		total += count
	}
	return total, nil
}
