package snssim

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	protocolSQS   = "sqs"
	pendingARN    = "PendingConfirmation"
	servicePolicy = "Policy"
)

// Topic is an SNS topic.
type Topic struct {
	ARN        string            `json:"arn"`
	Attributes map[string]string `json:"attributes"`
	// Open lets SES publish to the topic without a policy that allows it.
	Open bool `json:"open,omitempty"`
}

// Subscription is a subscription to a topic. A web server has to confirm it.
type Subscription struct {
	ARN       string `json:"arn"`
	TopicARN  string `json:"topicArn"`
	Protocol  string `json:"protocol"`
	Endpoint  string `json:"endpoint"`
	Raw       bool   `json:"raw,omitempty"`
	Token     string `json:"token"`
	Base      string `json:"base"` // URL of the simulator, for certificate and confirmation
	Confirmed bool   `json:"confirmed"`
}

func noTopic() error { return &Refusal{http.StatusNotFound, "NotFound", "Topic does not exist"} }

func (s *Simulator) createTopic(c call) ([]element, error) {
	name := c.form.Get("Name")
	if name == "" || len(name) > 256 || strings.ContainsFunc(name, notName) {
		return nil, invalid("Topic Name")
	}
	arn := "arn:aws:sns:" + s.config.Region + ":" + Account + ":" + name
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.topics[arn]; !ok {
		if err := s.commit(Change{Topic: &Topic{ARN: arn, Attributes: c.entries("Attributes")}}); err != nil {
			return nil, err
		}
	}
	return []element{leaf("TopicArn", arn)}, nil
}

func notName(c rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", c)
}

func (s *Simulator) getTopicAttributes(c call) ([]element, error) {
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
	return []element{entries("Attributes", attributes)}, nil
}

func (s *Simulator) setTopicAttributes(c call) ([]element, error) {
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
	attributes[c.form.Get("AttributeName")] = c.form.Get("AttributeValue")
	topic.Attributes = attributes
	return nil, s.commit(Change{Topic: &topic})
}

// subscribe subscribes a queue of the account, which needs no confirmation, or a web server, which is asked for its
// confirmation at every call.
func (s *Simulator) subscribe(c call) ([]element, error) {
	wanted := Subscription{
		TopicARN: c.form.Get("TopicArn"), Protocol: c.form.Get("Protocol"), Endpoint: c.form.Get("Endpoint"), Base: c.base,
		Raw: c.entries("Attributes")["RawMessageDelivery"] == "true",
	}
	if !slices.Contains([]string{"http", "https", protocolSQS}, wanted.Protocol) {
		return nil, invalid("Protocol")
	}
	if wanted.Protocol != protocolSQS && !strings.HasPrefix(wanted.Endpoint, wanted.Protocol+"://") {
		return nil, invalid("Endpoint must match the specified protocol")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.topics[wanted.TopicARN]; !ok {
		return nil, noTopic()
	}
	subscription, err := s.subscribed(wanted)
	if err != nil {
		return nil, err
	}
	if !subscription.Confirmed {
		return []element{leaf("SubscriptionArn", "pending confirmation")}, nil
	}
	return []element{leaf("SubscriptionArn", subscription.ARN)}, nil
}

// subscribed returns an existing subscription or makes a new one. The caller holds mu.
func (s *Simulator) subscribed(wanted Subscription) (Subscription, error) {
	for _, known := range s.subscriptions {
		if known.TopicARN == wanted.TopicARN && known.Protocol == wanted.Protocol && known.Endpoint == wanted.Endpoint {
			if !known.Confirmed {
				s.ask(known)
			}
			return known, nil
		}
	}
	if wanted.Protocol == protocolSQS {
		if _, ok := s.queues[nameOfARN(wanted.Endpoint)]; !ok {
			return wanted, invalid("Endpoint: no such queue")
		}
	}
	wanted.ARN, wanted.Token, wanted.Confirmed = wanted.TopicARN+":"+newID(), newToken(), wanted.Protocol == protocolSQS
	if err := s.commit(Change{Subscription: &wanted}); err != nil {
		return wanted, err
	}
	if !wanted.Confirmed {
		s.ask(wanted)
	}
	return wanted, nil
}

// ask posts the request for a confirmation. The caller holds mu.
func (s *Simulator) ask(of Subscription) {
	m := s.message(typeSubscription, of, "You have chosen to subscribe to the topic "+of.TopicARN+
		".\nTo confirm the subscription, visit the SubscribeURL included in this message.")
	m.Token = of.Token
	m.SubscribeURL = of.Base + "/?" + url.Values{
		"Action": {"ConfirmSubscription"}, "TopicArn": {of.TopicARN}, "Token": {of.Token},
	}.Encode()
	s.ending.Go(func() { s.deliver(of, m) })
}

// follow serves the link in the request for a confirmation.
func (s *Simulator) follow(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	err := s.confirm(query.Get("TopicArn"), query.Get("Token"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	if _, err := io.WriteString(w, "<ConfirmSubscriptionResponse/>"); err != nil {
		s.config.Log.Debug("write a response", slog.Any("error", err))
	}
}

func (s *Simulator) confirm(topic, token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, subscription := range s.subscriptions {
		if subscription.TopicARN == topic && subscription.Token == token {
			subscription.Confirmed = true
			if s.topics[topic].Open {
				// It lasts as long as this simulator. If it were recorded, the next simulator would deliver every
				// event twice: to it and to its own subscription.
				s.apply(Change{Subscription: &subscription})
				return nil
			}
			return s.commit(Change{Subscription: &subscription})
		}
	}
	return noTopic()
}

func (s *Simulator) listSubscriptions(c call) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arn := c.form.Get("TopicArn")
	if _, ok := s.topics[arn]; !ok {
		return nil, noTopic()
	}
	list := node("Subscriptions")
	for _, key := range slices.Sorted(maps.Keys(s.subscriptions)) {
		one := s.subscriptions[key]
		if one.TopicARN != arn {
			continue
		}
		shown := one.ARN
		if !one.Confirmed {
			shown = pendingARN
		}
		list.Children = append(list.Children, node("member", leaf("SubscriptionArn", shown), leaf("Owner", Account),
			leaf("Protocol", one.Protocol), leaf("Endpoint", one.Endpoint), leaf("TopicArn", one.TopicARN)))
	}
	return []element{list}, nil
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
	if !topic.Open && !allows(topic.Attributes[servicePolicy], "ses.amazonaws.com", "sns:Publish", topicARN, source) {
		return errors.New("the policy of the topic does not let SES publish")
	}
	return nil
}

// Publish publishes a text. Unconfirmed subscriptions get nothing, except that of an open topic.
func (s *Simulator) Publish(topicARN, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := newID()
	for _, one := range s.subscribers {
		if one.subscription.TopicARN != topicARN {
			continue
		}
		m := s.message(typeNotification, one.subscription, text)
		m.MessageId = id // the same for all subscriptions
		m.UnsubscribeURL = one.subscription.Base + "/?Action=Unsubscribe"
		one.add(m)
	}
}

// message returns an unsigned message for a subscription. The caller holds mu.
func (s *Simulator) message(kind string, to Subscription, text string) message {
	version := s.topics[to.TopicARN].Attributes["SignatureVersion"]
	if version == "" {
		version = "1"
	}
	return message{
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
