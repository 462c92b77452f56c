package snssim

import (
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/voostack/mailstack/impl/snssim/policies"
	"github.com/voostack/mailstack/impl/snssim/signing"
)

const (
	protocolSQS = "sqs"
	pendingARN  = "PendingConfirmation"
)

// Topic is an SNS topic.
type Topic struct {
	ARN        string            `json:"arn"`
	Attributes map[string]string `json:"attributes"`
	// Open lets SES publish to the topic without a policy that allows it.
	Open bool `json:"open,omitempty"`
}

func noTopic() error { return &Refusal{http.StatusNotFound, "NotFound", "Topic does not exist"} }

func (s *Simulator) createTopic(c call) ([]element, error) {
	name := c.form.Get("Name")
	if name == "" || len(name) > 256 || strings.ContainsFunc(name, notName) {
		return nil, invalid("Topic Name")
	}
	attributes := c.entries("Attributes")
	for name, value := range attributes {
		if err := checkTopicAttribute(name, value); err != nil {
			return nil, err
		}
	}
	arn := "arn:aws:sns:" + s.config.Region + ":" + Account + ":" + name
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.topics[arn]; !ok {
		if err := s.commit(Change{Topic: &Topic{ARN: arn, Attributes: attributes}}); err != nil {
			return nil, err
		}
	}
	return []element{leaf("TopicArn", arn)}, nil
}

func notName(c rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", c)
}

// getTopicAttributes returns what the API reference lists, as far as it is simulated.
// https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html
func (s *Simulator) getTopicAttributes(c call) ([]element, error) {
	if !strings.HasPrefix(c.form.Get("TopicArn"), "arn:") {
		return nil, invalid("TopicArn")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	topic, ok := s.topics[c.form.Get("TopicArn")]
	if !ok {
		return nil, noTopic()
	}
	attributes := maps.Clone(topic.Attributes)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes["TopicArn"], attributes["Owner"] = topic.ARN, Account
	confirmed, pending := 0, 0
	for _, one := range s.subscriptions {
		switch {
		case one.TopicARN != topic.ARN:
		case one.Confirmed:
			confirmed++
		default:
			pending++
		}
	}
	attributes["SubscriptionsConfirmed"], attributes["SubscriptionsPending"] = strconv.Itoa(confirmed), strconv.Itoa(pending)
	attributes["SubscriptionsDeleted"] = "0"
	return []element{entries("Attributes", attributes)}, nil
}

func (s *Simulator) setTopicAttributes(c call) ([]element, error) {
	name, value := c.form.Get("AttributeName"), c.form.Get("AttributeValue")
	s.mu.Lock()
	defer s.mu.Unlock()
	topic, ok := s.topics[c.form.Get("TopicArn")]
	if !ok {
		return nil, noTopic()
	}
	if err := checkTopicAttribute(name, value); err != nil {
		return nil, err
	}
	attributes := maps.Clone(topic.Attributes)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes[name] = value
	topic.Attributes = attributes
	return nil, s.commit(Change{Topic: &topic})
}

// Open makes a topic with one subscribed web server, for the life of the simulator. Publishing to it needs no
// permission, and messages wait until the web server has confirmed.
func (s *Simulator) Open(arn, endpoint, base, signatureVersion string) error {
	protocol, _, _ := strings.Cut(endpoint, "://")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[arn].Open {
		return errors.New("the topic is open already")
	}
	topic := Topic{ARN: arn, Attributes: map[string]string{"SignatureVersion": signatureVersion}, Open: true}
	subscription := Subscription{
		ARN: arn + ":" + newID(), Token: newToken(), TopicARN: arn, Protocol: protocol, Endpoint: endpoint, Base: base,
	}
	s.apply(Change{Topic: &topic})
	s.apply(Change{Subscription: &subscription})
	s.ask(subscription)
	return nil
}

// CanPublish returns an error if SES may not publish to a topic for one of its configuration sets.
func (s *Simulator) CanPublish(topicARN, source string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	topic, ok := s.topics[topicARN]
	if !ok {
		return noTopic()
	}
	if !topic.Open && !policies.Allows(topic.Attributes[attributePolicy], Account, "ses.amazonaws.com", "sns:Publish", topicARN, source) {
		return errors.New("the policy of the topic does not let SES publish")
	}
	return nil
}

// Publish publishes a text. Unconfirmed subscriptions get nothing, unless the topic is open.
func (s *Simulator) Publish(topicARN, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := newID()
	for arn, one := range s.subscribers {
		subscription := s.subscriptions[arn]
		if subscription.TopicARN != topicARN {
			continue
		}
		m := s.message(signing.TypeNotification, subscription, text)
		m.MessageId = id // the same for all subscriptions
		m.UnsubscribeURL = subscription.Base + "/?Action=Unsubscribe"
		one.add(m)
	}
}

// message returns an unsigned message for a subscription. The caller holds mu.
func (s *Simulator) message(kind string, to Subscription, text string) signing.Message {
	version := s.topics[to.TopicARN].Attributes["SignatureVersion"]
	if version == "" {
		version = "1"
	}
	return signing.Message{
		Type: kind, MessageId: newID(), TopicArn: to.TopicARN, Message: text,
		Timestamp:        s.config.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		SignatureVersion: version, SigningCertURL: to.Base, // encode adds the path
	}
}

// Remove deletes a topic with its subscriptions, or a queue, by its ARN, as an AWS user might.
func (s *Simulator) Remove(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics, arn)
	for key, one := range s.subscriptions {
		if one.TopicARN != arn && one.ARN != arn {
			continue
		}
		delete(s.subscriptions, key)
		if at, ok := s.subscribers[key]; ok {
			at.stop()
			delete(s.subscribers, key)
		}
	}
	if strings.Contains(arn, ":sqs:") {
		delete(s.queues, nameOfARN(arn))
	}
}
