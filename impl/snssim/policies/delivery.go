package policies

import (
	"encoding/json"
	"errors"
	"time"
)

// longestRetry bounds all retries of a message together, and each delay.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
const longestRetry = time.Hour

// Retries says when SNS posts again what a web server did not accept. The page names defaults and bounds:
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html#creating-delivery-policy
type Retries struct {
	MinDelayTarget     int `json:"minDelayTarget"`
	MaxDelayTarget     int `json:"maxDelayTarget"`
	NumRetries         int `json:"numRetries"`
	NumNoDelayRetries  int `json:"numNoDelayRetries"`
	NumMinDelayRetries int `json:"numMinDelayRetries"`
	NumMaxDelayRetries int `json:"numMaxDelayRetries"`
}

// RetriesOf returns the policy of a subscription, without one SNS's own: three retries, 20 seconds apart.
func RetriesOf(deliveryPolicy string) (Retries, error) {
	policy := struct {
		Healthy Retries `json:"healthyRetryPolicy"`
	}{Retries{MinDelayTarget: 20, MaxDelayTarget: 20, NumRetries: 3}}
	if deliveryPolicy == "" {
		return policy.Healthy, nil
	}
	err := json.Unmarshal([]byte(deliveryPolicy), &policy)
	return policy.Healthy, err
}

// CheckDelivery returns an error that says what is wrong with a delivery policy.
func CheckDelivery(value string) error {
	p, err := RetriesOf(value)
	phases := p.NumNoDelayRetries + p.NumMinDelayRetries + p.NumMaxDelayRetries
	switch {
	case err != nil || value == "":
		return errors.New("DeliveryPolicy: it is not JSON")
	case p.MinDelayTarget < 1 || p.MinDelayTarget > p.MaxDelayTarget || p.MaxDelayTarget > int(longestRetry/time.Second):
		return errors.New("DeliveryPolicy: minDelayTarget and maxDelayTarget")
	case p.NumRetries < 0 || p.NumRetries > 100:
		return errors.New("DeliveryPolicy: numRetries must be 0 to 100")
	case min(p.NumNoDelayRetries, p.NumMinDelayRetries, p.NumMaxDelayRetries) < 0 || phases > p.NumRetries:
		return errors.New("DeliveryPolicy: numRetries must cover the retries of all phases")
	}
	total := time.Duration(0)
	for _, delay := range p.Delays() {
		total += delay
	}
	if total > longestRetry {
		return errors.New("DeliveryPolicy: Total policy retry time cannot be greater than 3600 seconds")
	}
	return nil
}

// Delays returns the wait before each retry, without SNS's jitter. In the backoff phase the delays grow evenly from the least to
// the greatest, as the function "linear" is drawn; the other functions differ only between the same ends.
func (p Retries) Delays() []time.Duration {
	least, most := time.Duration(p.MinDelayTarget)*time.Second, time.Duration(p.MaxDelayTarget)*time.Second
	var found []time.Duration
	for range p.NumNoDelayRetries {
		found = append(found, 0)
	}
	for range p.NumMinDelayRetries {
		found = append(found, least)
	}
	growing := p.NumRetries - p.NumNoDelayRetries - p.NumMinDelayRetries - p.NumMaxDelayRetries
	for i := range growing {
		found = append(found, least+(most-least)*time.Duration(i+1)/time.Duration(growing))
	}
	for range p.NumMaxDelayRetries {
		found = append(found, most)
	}
	return found
}
