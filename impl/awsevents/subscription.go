package awsevents

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/voostack/mailstack/impl/ses"
)

const (
	// maxSubscriptionPages bounds the listing of subscriptions, which has a hundred to a page.
	maxSubscriptionPages = 20

	attributeDeliveryPolicy = "DeliveryPolicy"
	// LongestRetry is the longest that SNS lets all retries of a message to a web server last.
	// https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
	LongestRetry = time.Hour
	// SNS makes three retries, 20 seconds apart, unless a policy says otherwise.
	defaultRetries    = 3
	defaultRetryDelay = 20
)

// retryPolicy says when SNS posts again what a web server did not accept. Delays are in seconds.
type retryPolicy struct {
	MinDelayTarget     int `json:"minDelayTarget"`
	MaxDelayTarget     int `json:"maxDelayTarget"`
	NumRetries         int `json:"numRetries"`
	NumNoDelayRetries  int `json:"numNoDelayRetries"`
	NumMinDelayRetries int `json:"numMinDelayRetries"`
	NumMaxDelayRetries int `json:"numMaxDelayRetries"`
}

type deliveryPolicy struct {
	HealthyRetryPolicy retryPolicy `json:"healthyRetryPolicy"`
}

// longestDelivery returns the policy that setup wants: a minute of retries every five seconds, which outlasts a restart, and
// then every minute for the rest of the hour.
func longestDelivery() deliveryPolicy {
	return deliveryPolicy{retryPolicy{
		MinDelayTarget: 5, NumMinDelayRetries: 12, MaxDelayTarget: 60, NumMaxDelayRetries: 59, NumRetries: 71,
	}}
}

// duration returns how long the retries last. In the phase between the two delays, their mean counts.
func (p retryPolicy) duration() time.Duration {
	growing := max(0, p.NumRetries-p.NumNoDelayRetries-p.NumMinDelayRetries-p.NumMaxDelayRetries)
	seconds := p.NumMinDelayRetries*p.MinDelayTarget + p.NumMaxDelayRetries*p.MaxDelayTarget +
		growing*(p.MinDelayTarget+p.MaxDelayTarget)/2
	return time.Duration(seconds) * time.Second
}

// Subscription is one subscription of a topic.
type Subscription struct {
	ARN                string // empty while it is not confirmed
	Protocol, Endpoint string
	Confirmed          bool
}

// HTTP reports whether a web server is subscribed.
func (s Subscription) HTTP() bool { return strings.HasPrefix(s.Protocol, "http") }

// Delivery is what happens to messages that a subscriber does not accept.
type Delivery struct {
	Retries    time.Duration // how long SNS tries again
	DeadLetter string        // ARN of the queue that then gets the message; empty means that the message is lost
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
			subscription := Subscription{Protocol: aws.ToString(one.Protocol), Endpoint: aws.ToString(one.Endpoint)}
			// Otherwise the ARN's place holds PendingConfirmation or Deleted.
			if arn := aws.ToString(one.SubscriptionArn); strings.HasPrefix(arn, "arn:") {
				subscription.ARN, subscription.Confirmed = arn, true
			}
			found = append(found, subscription)
		}
	}
	return found, nil
}

// Delivery reads what happens to messages that a confirmed subscriber does not accept.
func (c *Client) Delivery(ctx context.Context, subscription Subscription) (Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.topics.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{
		SubscriptionArn: aws.String(subscription.ARN),
	})
	if err != nil {
		return Delivery{}, wrapError("read the subscription "+subscription.ARN, err)
	}
	policy := deliveryPolicy{retryPolicy{
		MinDelayTarget: defaultRetryDelay, MaxDelayTarget: defaultRetryDelay, NumRetries: defaultRetries,
	}}
	if given := out.Attributes[attributeDeliveryPolicy]; given != "" {
		if err := json.Unmarshal([]byte(given), &policy); err != nil {
			return Delivery{}, fmt.Errorf("read the delivery policy of the subscription %s: %w", subscription.ARN, err)
		}
	}
	dead, err := deadLetterOf(out.Attributes[attributeRedrivePolicy])
	return Delivery{Retries: policy.HealthyRetryPolicy.duration(), DeadLetter: dead}, err
}

// EnsureSubscription makes sure that a topic has a subscription: of a web server (protocol http or https), or of a
// queue (sqs, with its ARN as endpoint). SNS asks a web server that has not confirmed yet once more. Undelivered messages of a web
// server go to the queue deadLetters, after the longest retries that SNS allows; a queue that is set already stays.
func (c *Client) EnsureSubscription(
	ctx context.Context, topic, protocol, endpoint, deadLetters string,
) (state ses.Change, confirmed bool, err error) {
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
			state, err = c.completeSubscription(ctx, one, deadLetters)
			return state, true, err
		}
		state = ses.Unchanged
	}
	attributes, err := wantedAttributes(deadLetters)
	if err != nil {
		return "", false, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.topics.Subscribe(ctx, &sns.SubscribeInput{
		TopicArn: aws.String(topic), Protocol: aws.String(protocol), Endpoint: aws.String(endpoint), Attributes: attributes,
	})
	if err != nil && state == ses.Unchanged && len(attributes) > 0 {
		// An older setup made it without attributes, and SNS refuses others at a repetition. They follow once it is confirmed.
		out, err = c.topics.Subscribe(ctx, &sns.SubscribeInput{
			TopicArn: aws.String(topic), Protocol: aws.String(protocol), Endpoint: aws.String(endpoint),
		})
	}
	if err != nil {
		return "", false, wrapError("subscribe "+endpoint, err)
	}
	return state, strings.HasPrefix(aws.ToString(out.SubscriptionArn), "arn:"), nil
}

// wantedAttributes returns the attributes of a new subscription of a web server; a queue needs none, since SNS tries it for weeks.
func wantedAttributes(deadLetters string) (map[string]string, error) {
	if deadLetters == "" {
		return nil, nil //nolint:nilnil // no attributes
	}
	delivery, err := json.Marshal(longestDelivery())
	if err != nil {
		return nil, fmt.Errorf("write the delivery policy: %w", err)
	}
	redrive, err := json.Marshal(map[string]string{"deadLetterTargetArn": deadLetters})
	if err != nil {
		return nil, fmt.Errorf("write the redrive policy: %w", err)
	}
	return map[string]string{attributeDeliveryPolicy: string(delivery), attributeRedrivePolicy: string(redrive)}, nil
}

// completeSubscription sets what a confirmed subscription lacks.
func (c *Client) completeSubscription(ctx context.Context, known Subscription, deadLetters string) (ses.Change, error) {
	if deadLetters == "" {
		return ses.Unchanged, nil
	}
	delivery, err := c.Delivery(ctx, known)
	if err != nil {
		return "", err
	}
	wanted, err := wantedAttributes(deadLetters)
	if err != nil {
		return "", err
	}
	if delivery.Retries >= LongestRetry {
		delete(wanted, attributeDeliveryPolicy)
	}
	if delivery.DeadLetter != "" {
		delete(wanted, attributeRedrivePolicy)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	state := ses.Unchanged
	for name, value := range wanted {
		_, err := c.topics.SetSubscriptionAttributes(ctx, &sns.SetSubscriptionAttributesInput{
			SubscriptionArn: aws.String(known.ARN), AttributeName: aws.String(name), AttributeValue: aws.String(value),
		})
		if err != nil {
			return "", wrapError("set up the subscription of "+known.Endpoint, err)
		}
		state = ses.Updated
	}
	return state, nil
}
