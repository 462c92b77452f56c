package awsevents

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/voostack/mailstack/impl/ses"
)

const attributePolicy = "Policy"

// EnsureTopic makes sure that a topic exists and that SES may publish a configuration set's events to it.
func (c *Client) EnsureTopic(ctx context.Context, caller Caller, name, configurationSet string) (arn string, state ses.Change, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	arn, state = caller.TopicARN(name), ses.Unchanged
	policy, err := c.topicPolicy(ctx, arn)
	if errors.Is(err, ErrNotFound) {
		state = ses.Created
		// SNS signs with SHA-1 unless SignatureVersion is set to 2.
		out, err := c.topics.CreateTopic(ctx, &sns.CreateTopicInput{
			Name: aws.String(name), Attributes: map[string]string{"SignatureVersion": "2"},
		})
		if err != nil {
			return "", "", wrapError("create the topic "+name, err)
		}
		arn = aws.ToString(out.TopicArn)
		if policy, err = c.topicPolicy(ctx, arn); err != nil {
			return "", "", err
		}
	} else if err != nil {
		return "", "", err
	}
	policy, changed, err := mergeStatement(policy, allowPublish(arn, caller.Account, caller.ConfigurationSetARN(configurationSet)))
	if err != nil || !changed {
		return arn, state, err
	}
	_, err = c.topics.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{
		TopicArn: aws.String(arn), AttributeName: aws.String(attributePolicy), AttributeValue: aws.String(policy),
	})
	if err != nil {
		return "", "", wrapError("let SES publish to the topic "+name, err)
	}
	if state == ses.Unchanged {
		state = ses.Updated
	}
	return arn, state, nil
}

func (c *Client) topicPolicy(ctx context.Context, arn string) (string, error) {
	out, err := c.topics.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: aws.String(arn)})
	if err != nil {
		return "", wrapError("read the topic "+arn, err)
	}
	return out.Attributes[attributePolicy], nil
}
