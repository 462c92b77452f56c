package awsevents

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/voostack/mailstack/impl/ses"
)

// maxSubscriptionPages bounds the listing of subscriptions, which has a hundred to a page.
const maxSubscriptionPages = 20

const attributePolicy = "Policy"

// Subscription is one subscription of a topic.
type Subscription struct {
	Protocol, Endpoint string
	Confirmed          bool
}

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

// Subscriptions lists the subscriptions of a topic. ErrNotFound means that there is no such topic.
func (c *Client) Subscriptions(ctx context.Context, topic string) ([]Subscription, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var found []Subscription
	pages := sns.NewListSubscriptionsByTopicPaginator(c.topics, &sns.ListSubscriptionsByTopicInput{TopicArn: aws.String(topic)})
	for range maxSubscriptionPages {
		if !pages.HasMorePages() {
			break
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrapError("list the subscriptions of the topic "+topic, err)
		}
		for _, one := range page.Subscriptions {
			found = append(found, Subscription{
				Protocol: aws.ToString(one.Protocol), Endpoint: aws.ToString(one.Endpoint),
				// Otherwise the ARN's place holds PendingConfirmation or Deleted.
				Confirmed: strings.HasPrefix(aws.ToString(one.SubscriptionArn), "arn:"),
			})
		}
	}
	return found, nil
}

// EnsureSubscription makes sure that a topic has a subscription: of a web server (protocol http or https), or of a
// queue (sqs, with its ARN as endpoint). SNS asks a web server that has not confirmed yet once more.
func (c *Client) EnsureSubscription(ctx context.Context, topic, protocol, endpoint string) (state ses.Change, confirmed bool, err error) {
	known, err := c.Subscriptions(ctx, topic)
	if err != nil {
		return "", false, err
	}
	state = ses.Created
	for _, one := range known {
		if one.Protocol != protocol || one.Endpoint != endpoint {
			continue
		}
		if one.Confirmed {
			return ses.Unchanged, true, nil
		}
		state = ses.Unchanged
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.topics.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: aws.String(topic), Protocol: aws.String(protocol), Endpoint: aws.String(endpoint),
	})
	if err != nil {
		return "", false, wrapError("subscribe "+endpoint, err)
	}
	return state, strings.HasPrefix(aws.ToString(out.SubscriptionArn), "arn:"), nil
}
