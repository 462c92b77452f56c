package sessim

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// fate is what happens to the message at one recipient.
type fate int

const (
	delivered fate = iota
	bounced
	complained
	onSuppressionList
	onGlobalList
	silent // only the Send event is published
)

// fateOf returns the fate of the addresses of SES's mailbox simulator; it ignores a suffix after a plus sign. Other
// addresses are delivered to if deliverAll is set, and silent otherwise.
// https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
func fateOf(address string, suppressed []string, deliverAll bool) fate {
	if slices.ContainsFunc(suppressed, func(other string) bool { return strings.EqualFold(other, address) }) {
		return onSuppressionList
	}
	local, test := strings.CutSuffix(strings.ToLower(address), simulatorDomain)
	if !test {
		if deliverAll {
			return delivered
		}
		return silent
	}
	local, _, _ = strings.Cut(local, "+")
	switch local {
	case "bounce":
		return bounced
	case "complaint":
		return complained
	case "suppressionlist":
		return onGlobalList
	case "success", "ooto":
		return delivered
	default:
		return bounced
	}
}

// Events configures one topic of a simulated Amazon SNS, with one subscriber. It gets the events of all accepted
// messages, whatever their configuration sets say.
type Events struct {
	// URL is where the topic's messages are posted.
	URL string
	// TopicARN is the ARN of the topic.
	TopicARN string
	// Own is the base URL of the simulator, for the certificate of the signatures and the confirmation.
	Own string
	// SignatureVersion is the topic's, "1" or "2". Empty means "1", SNS's default.
	SignatureVersion string
}

// Publish publishes the events of messages that are accepted from now on. It first asks the subscriber for its
// confirmation. It can be called once.
func (s *Simulator) Publish(events Events) error {
	if events.URL == "" || events.TopicARN == "" || events.Own == "" {
		return errors.New("publish events: URL, TopicARN and Own are required")
	}
	if err := s.topics.Open(events.TopicARN, events.URL, events.Own, events.SignatureVersion); err != nil {
		return fmt.Errorf("publish events: %w", err)
	}
	if !s.openTopic.CompareAndSwap(nil, &events.TopicARN) {
		return errors.New("publish events: the simulator does so already")
	}
	return s.publishAgain()
}

// report publishes the events of an accepted message as SES does: that it was sent, and each recipient's fate.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
func (s *Simulator) report(a Accepted) {
	open, destinations := s.openTopic.Load(), s.destinations(a.ConfigurationSet)
	if open == nil && len(destinations) == 0 {
		return
	}
	about := mailOf(a)
	publish := func(kind, member string, detail map[string]any) {
		event := map[string]any{"eventType": kind, "mail": about, member: detail}
		encoded, err := json.Marshal(event)
		if err != nil {
			s.log.Error("encode an event", "error", err)
			return
		}
		if open != nil {
			s.topics.Publish(*open, string(encoded))
		}
		for _, destination := range destinations {
			if destination.wants(kind) {
				s.publishFor(a.ConfigurationSet, destination.topic(), string(encoded))
			}
		}
	}
	publish("Send", "send", map[string]any{})
	at := timestamp(a.ReceivedAt.Add(time.Second))
	for _, address := range bareAll(a) {
		delivery := map[string]any{
			"timestamp": at, "processingTimeMillis": 1000, "recipients": []string{address},
			"smtpResponse": "250 2.6.0 Message received", "remoteMtaIp": "127.0.2.0", "reportingMTA": "a8-53.smtp-out.amazonses.com",
		}
		bounce := func(subtype, status, diagnostic string) map[string]any {
			return map[string]any{
				"feedbackId": a.ProviderID + "-" + uuid.NewSHA1(uuid.NameSpaceOID, []byte(a.ProviderID+address)).String(),
				"bounceType": "Permanent", "bounceSubType": subtype, "timestamp": at, "reportingMTA": "dns; amazonses.com",
				"bouncedRecipients": []map[string]string{
					{"emailAddress": address, "action": "failed", "status": status, "diagnosticCode": diagnostic},
				},
			}
		}
		switch fateOf(address, a.Suppressed, s.deliverAll) {
		case delivered:
			publish("Delivery", "delivery", delivery)
		case bounced:
			publish("Bounce", "bounce", bounce("General", "5.1.1", "smtp; 550 5.1.1 user unknown"))
		case onGlobalList: // https://docs.aws.amazon.com/ses/latest/dg/sending-email-global-suppression-list.html
			publish("Bounce", "bounce", bounce("Suppressed", "5.1.1",
				"Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address."))
		case onSuppressionList:
			publish("Bounce", "bounce", bounce("OnAccountSuppressionList", "5.1.1",
				"Amazon SES did not send the message to this address because it is on the suppression list for your account."))
		case complained:
			publish("Delivery", "delivery", delivery)
			publish("Complaint", "complaint", map[string]any{
				"feedbackId": a.ProviderID + "-complaint", "timestamp": at, "complaintSubType": nil, "complaintFeedbackType": "abuse",
				"userAgent": "Amazon SES Mailbox Simulator", "arrivalDate": at,
				"complainedRecipients": []map[string]string{{"emailAddress": address}},
			})
		case silent:
		}
	}
}

// mailOf returns what every event says about its message. The values of tags are lists.
func mailOf(a Accepted) map[string]any {
	tags := map[string][]string{"ses:configuration-set": {a.ConfigurationSet}, "ses:source-ip": {"127.0.0.1"}}
	for _, tag := range a.Tags {
		tags[tag.Name] = []string{tag.Value}
	}
	return map[string]any{
		"timestamp": timestamp(a.ReceivedAt), "source": a.From, "sendingAccountId": "000000000000", "messageId": a.ProviderID,
		"destination": bareAll(a), "headersTruncated": false, "headers": []any{}, "tags": tags,
		"commonHeaders": map[string]any{"from": []string{a.From}, "messageId": a.ProviderID, "subject": a.Subject},
	}
}

// bareAll returns the recipients without display names, each once.
func bareAll(a Accepted) []string {
	var found []string
	for _, given := range slices.Concat(a.To, a.Cc, a.Bcc) {
		address, err := mail.ParseAddress(given)
		if err != nil { // it was parsed when the message was accepted
			continue
		}
		if !slices.Contains(found, address.Address) {
			found = append(found, address.Address)
		}
	}
	return found
}

func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
