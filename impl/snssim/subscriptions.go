package snssim

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/voostack/mailstack/impl/snssim/signing"
)

const subscriptionsPerPage = 100

// Subscription is a subscription to a topic. A web server has to confirm it.
type Subscription struct {
	ARN        string            `json:"arn"`
	TopicARN   string            `json:"topicArn"`
	Protocol   string            `json:"protocol"`
	Endpoint   string            `json:"endpoint"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Token      string            `json:"token"`
	Base       string            `json:"base"` // URL of the simulator, for certificate and confirmation
	Confirmed  bool              `json:"confirmed"`
}

// raw reports whether the subscriber gets messages without SNS's envelope.
func (s Subscription) raw() bool { return s.Attributes[attributeRaw] == "true" }

// subscribe subscribes a queue of the account, which needs no confirmation, or a web server, which is asked for its
// confirmation at every call.
// https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
func (s *Simulator) subscribe(c call) ([]element, error) {
	wanted := Subscription{
		TopicARN: c.form.Get("TopicArn"), Protocol: c.form.Get("Protocol"), Endpoint: c.form.Get("Endpoint"), Base: c.base,
		Attributes: c.entries("Attributes"),
	}
	if !slices.Contains([]string{"http", "https", protocolSQS}, wanted.Protocol) {
		return nil, invalid("Protocol")
	}
	if wanted.Protocol != protocolSQS && !strings.HasPrefix(wanted.Endpoint, wanted.Protocol+"://") {
		return nil, invalid("Endpoint must match the specified protocol")
	}
	if err := s.checkSubscriptionAttributes(wanted.Attributes); err != nil {
		return nil, err
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
	if !subscription.Confirmed && c.form.Get("ReturnSubscriptionArn") != "true" {
		return []element{leaf("SubscriptionArn", "pending confirmation")}, nil
	}
	return []element{leaf("SubscriptionArn", subscription.ARN)}, nil
}

// subscribed returns an existing subscription or makes a new one. The caller holds mu.
func (s *Simulator) subscribed(wanted Subscription) (Subscription, error) {
	for _, known := range s.subscriptions {
		if known.TopicARN == wanted.TopicARN && known.Protocol == wanted.Protocol && known.Endpoint == wanted.Endpoint {
			if len(wanted.Attributes) > 0 && !maps.Equal(wanted.Attributes, known.Attributes) {
				return known, invalid("Attributes Reason: Subscription already exists with different attributes")
			}
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
	m := s.message(signing.TypeSubscription, of, "You have chosen to subscribe to the topic "+of.TopicARN+
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

// listSubscriptions returns up to 100 subscriptions of a topic. The token of the next page is the last ARN of this one.
// https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
func (s *Simulator) listSubscriptions(c call) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arn, after := c.form.Get("TopicArn"), c.form.Get("NextToken")
	if _, ok := s.topics[arn]; !ok {
		return nil, noTopic()
	}
	if after != "" && !strings.HasPrefix(after, arn+":") {
		return nil, invalid("NextToken")
	}
	list, last := node("Subscriptions"), ""
	for _, key := range slices.Sorted(maps.Keys(s.subscriptions)) {
		one := s.subscriptions[key]
		if one.TopicARN != arn || key <= after {
			continue
		}
		if len(list.Children) == subscriptionsPerPage {
			return []element{list, leaf("NextToken", last)}, nil
		}
		last = key
		shown := one.ARN
		if !one.Confirmed {
			shown = pendingARN
		}
		list.Children = append(list.Children, node("member", leaf("SubscriptionArn", shown), leaf("Owner", Account),
			leaf("Protocol", one.Protocol), leaf("Endpoint", one.Endpoint), leaf("TopicArn", one.TopicARN)))
	}
	return []element{list}, nil
}

func noSubscription() error {
	return &Refusal{http.StatusNotFound, "NotFound", "Subscription does not exist"}
}

// getSubscriptionAttributes returns what the API reference lists, as far as it is simulated.
// https://docs.aws.amazon.com/sns/latest/api/API_GetSubscriptionAttributes.html
func (s *Simulator) getSubscriptionAttributes(c call) ([]element, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.subscriptions[c.form.Get("SubscriptionArn")]
	if !ok {
		return nil, noSubscription()
	}
	attributes := map[string]string{attributeRaw: "false"}
	maps.Copy(attributes, one.Attributes)
	attributes["SubscriptionArn"], attributes["TopicArn"], attributes["Owner"] = one.ARN, one.TopicARN, Account
	attributes["PendingConfirmation"] = strconv.FormatBool(!one.Confirmed)
	attributes["ConfirmationWasAuthenticated"] = strconv.FormatBool(one.Protocol == protocolSQS)
	return []element{entries("Attributes", attributes)}, nil
}

func (s *Simulator) setSubscriptionAttributes(c call) ([]element, error) {
	name, value := c.form.Get("AttributeName"), c.form.Get("AttributeValue")
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.subscriptions[c.form.Get("SubscriptionArn")]
	if !ok {
		return nil, noSubscription()
	}
	if err := s.checkSubscriptionAttribute(name, value); err != nil {
		return nil, err
	}
	attributes := map[string]string{name: value}
	for other, kept := range one.Attributes {
		if other != name {
			attributes[other] = kept
		}
	}
	one.Attributes = attributes
	return nil, s.commit(Change{Subscription: &one})
}

// ConfirmAll confirms every subscription of a topic, as if their web servers had followed the links.
func (s *Simulator) ConfirmAll(topicARN string) {
	s.mu.Lock()
	tokens := []string{}
	for _, one := range s.subscriptions {
		if one.TopicARN == topicARN && !one.Confirmed {
			tokens = append(tokens, one.Token)
		}
	}
	s.mu.Unlock()
	for _, token := range tokens {
		if err := s.confirm(topicARN, token); err != nil {
			s.config.Log.Warn("confirm a subscription", slog.Any("error", err))
		}
	}
}
