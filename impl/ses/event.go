package ses

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The kinds of events, in SES's words. Other kinds, such as changes of SES's own subscription lists, do not matter
// here.
const (
	EventSend             = "Send"
	EventDelivery         = "Delivery"
	EventBounce           = "Bounce"
	EventComplaint        = "Complaint"
	EventReject           = "Reject"
	EventDelay            = "DeliveryDelay"
	EventOpen             = "Open"
	EventClick            = "Click"
	EventRenderingFailure = "Rendering Failure"
)

// SuppressionSubtypes returns the subtypes of bounces and complaints that SES reports without trying to deliver,
// because the address is on a suppression list of the account or of SES itself.
func SuppressionSubtypes() []string { return []string{"OnAccountSuppressionList", "Suppressed"} }

const (
	// ComplaintNotSpam is the feedback type of a report that a message is not spam after all, the opposite of a complaint
	// (RFC 6430). https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#complaint-object
	ComplaintNotSpam = "not-spam"
	// BouncePermanent is the type of a bounce after which the address must not be tried again.
	BouncePermanent = "Permanent"
	// A bounce of type BounceTransient and subtype BounceGeneral may be an automatic reply to a message that was delivered.
	// https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
	BounceTransient = "Transient"
	BounceGeneral   = "General"
	// botLikely and botUnlikely are the values of isBotEvent of opens and clicks.
	// https://aws.amazon.com/about-aws/whats-new/2026/08/amazon-ses-automated-email-interactions/
	botLikely, botUnlikely = "Likely", "Unlikely"

	// The stored size of an event is bounded, whatever it contains.
	maxStorableText    = 600
	maxEventRecipients = 100
)

// Event is what SES reports about one message.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
type Event struct {
	Kind string
	// MessageID is our id, from the tag TagMessageID. Zero means that the message is not ours or carries no tags.
	MessageID uuid.UUID
	// Probe is the id of a probe, from the tag TagProbe; zero for every other message.
	Probe uuid.UUID
	// ProviderMessageID is SES's id of the message.
	ProviderMessageID string
	// SentAt is when SES accepted the message, At when the event happened. Zero means that SES gave no time.
	SentAt, At time.Time
	// FeedbackID identifies one bounce or complaint.
	FeedbackID string
	// A bounce has a Type and a Subtype; a complaint has a Subtype, and its feedback type as Type; a delay has a
	// Type.
	Type, Subtype string
	// Recipients are the recipients that the event concerns, where SES names them.
	Recipients []EventRecipient
	// Reason is why SES refused the message.
	Reason string
	// Response is the reply of the recipient's server when it accepted the message.
	Response string
	// Link is the link that was followed. UserAgent and IPAddress belong to the client that opened or followed.
	Link, UserAgent, IPAddress string
	// Automated says whether a program probably opened or followed. Nil means that SES did not say.
	Automated *bool
}

// EventRecipient is one recipient of an event.
type EventRecipient struct {
	Address string
	// Status is an enhanced status code (RFC 3463), Diagnostic the reply of the recipient's server.
	Status, Diagnostic string
}

// eventPayload is a published event, or a notification about an identity, which has NotificationType instead.
type eventPayload struct {
	EventType        string
	NotificationType string
	Mail             struct {
		Timestamp   string
		MessageID   string
		Destination []string
		Tags        map[string]json.RawMessage
	}
	Delivery struct {
		Timestamp, SMTPResponse string
		Recipients              []string
	}
	Bounce struct {
		BounceType, BounceSubType, FeedbackID, Timestamp string
		BouncedRecipients                                []payloadRecipient
	}
	Complaint struct {
		ComplaintFeedbackType, ComplaintSubType, FeedbackID, Timestamp string
		ComplainedRecipients                                           []payloadRecipient
	}
	DeliveryDelay struct {
		DelayType, Timestamp string
		DelayedRecipients    []payloadRecipient
	}
	Reject  struct{ Reason string }
	Failure struct{ ErrorMessage string }
	Open    struct {
		Timestamp, UserAgent, IPAddress string
		IsBotEvent                      any
	}
	Click struct {
		Timestamp, UserAgent, IPAddress, Link string
		IsBotEvent                            any
	}
}

type payloadRecipient struct{ EmailAddress, Status, DiagnosticCode string }

// ParseEvent parses an event. It fails for a body that is no SES event, such as the greeting of a new topic.
func ParseEvent(body []byte) (Event, error) {
	var said eventPayload
	if err := json.Unmarshal(body, &said); err != nil {
		return Event{}, errors.New("it is not a JSON document of SES")
	}
	event := Event{Kind: said.EventType, ProviderMessageID: StorableText(said.Mail.MessageID), SentAt: parseTime(said.Mail.Timestamp)}
	if event.Kind == "" {
		event.Kind = said.NotificationType
	}
	if event.Kind == "" || event.ProviderMessageID == "" {
		return Event{}, errors.New("it does not say what happened to which message")
	}
	event.MessageID = taggedID(said.Mail.Tags[TagMessageID])
	event.Probe = taggedID(said.Mail.Tags[TagProbe])
	said.fill(&event)
	if event.At.IsZero() {
		event.At = event.SentAt
	}
	return event, nil
}

// fill copies the fields of the event's own kind.
func (said *eventPayload) fill(event *Event) {
	switch event.Kind {
	case EventDelivery:
		event.At, event.Response = parseTime(said.Delivery.Timestamp), StorableText(said.Delivery.SMTPResponse)
		for _, address := range said.Delivery.Recipients {
			event.add(payloadRecipient{EmailAddress: address})
		}
	case EventBounce:
		about := said.Bounce
		event.At, event.FeedbackID = parseTime(about.Timestamp), StorableText(about.FeedbackID)
		event.Type, event.Subtype = StorableText(about.BounceType), StorableText(about.BounceSubType)
		event.add(about.BouncedRecipients...)
	case EventComplaint:
		about := said.Complaint
		event.At, event.FeedbackID = parseTime(about.Timestamp), StorableText(about.FeedbackID)
		event.Type, event.Subtype = StorableText(about.ComplaintFeedbackType), StorableText(about.ComplaintSubType)
		event.add(about.ComplainedRecipients...)
	case EventDelay:
		event.At, event.Type = parseTime(said.DeliveryDelay.Timestamp), StorableText(said.DeliveryDelay.DelayType)
		event.add(said.DeliveryDelay.DelayedRecipients...)
	case EventReject:
		event.Reason = StorableText(said.Reject.Reason)
	case EventRenderingFailure:
		event.Reason = StorableText(said.Failure.ErrorMessage)
	case EventOpen:
		about := said.Open
		event.At, event.UserAgent, event.IPAddress = parseTime(about.Timestamp), StorableText(about.UserAgent), StorableText(about.IPAddress)
		event.Automated = automated(about.IsBotEvent)
		event.addOnly(said.Mail.Destination)
	case EventClick:
		about := said.Click
		event.At, event.UserAgent, event.IPAddress = parseTime(about.Timestamp), StorableText(about.UserAgent), StorableText(about.IPAddress)
		event.Link, event.Automated = StorableText(about.Link), automated(about.IsBotEvent)
		event.addOnly(said.Mail.Destination)
	}
}

func (event *Event) add(found ...payloadRecipient) {
	for _, one := range found[:min(len(found), maxEventRecipients)] {
		event.Recipients = append(event.Recipients, EventRecipient{
			Address: StorableText(one.EmailAddress), Status: StorableText(one.Status), Diagnostic: StorableText(one.DiagnosticCode),
		})
	}
}

// addOnly adds the message's only recipient. With several recipients, SES does not say which one opened it.
func (event *Event) addOnly(destination []string) {
	if len(destination) == 1 {
		event.add(payloadRecipient{EmailAddress: destination[0]})
	}
}

func automated(isBotEvent any) *bool {
	if isBotEvent != botLikely && isBotEvent != botUnlikely {
		return nil
	}
	likely := isBotEvent == botLikely
	return &likely
}

// taggedID reads one of our tags. The values of tags are lists; a string is accepted too.
func taggedID(raw json.RawMessage) uuid.UUID {
	var values []string
	if err := json.Unmarshal(raw, &values); err != nil {
		var value string
		if err := json.Unmarshal(raw, &value); err != nil {
			return uuid.Nil
		}
		values = []string{value}
	}
	if i := slices.IndexFunc(values, func(value string) bool { return len(value) == 36 && uuid.Validate(value) == nil }); i >= 0 {
		return uuid.MustParse(values[i])
	}
	return uuid.Nil
}

// parseTime parses a time. It returns zero for a time that cannot be stored and shown again.
func parseTime(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.UTC().Year() < 2000 || at.UTC().Year() > 9000 {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Microsecond)
}

// StorableText makes text from outside fit for a row: at most 600 bytes of valid UTF-8 without NUL, which Postgres
// does not accept. A row that Postgres refuses would delay its whole group.
func StorableText(s string) string {
	if len(s) > maxStorableText {
		s = s[:maxStorableText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
