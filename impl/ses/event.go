package ses

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The kinds of events, as SES names them. What else there is (changes of its own subscription lists) is of no concern.
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

// SubtypesNotTried are those of bounces and complaints about mail that SES did not try to deliver, as the address is on
// a list of the account or of SES itself.
func SubtypesNotTried() []string { return []string{"OnAccountSuppressionList", "Suppressed"} }

const (
	// BouncePermanent is the type of a bounce after which the address must not be tried again.
	BouncePermanent = "Permanent"

	// What is kept of an event is bounded, whatever it says.
	maxEventText       = 600
	maxEventRecipients = 100
)

// Event is what SES reports about a message.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
type Event struct {
	Kind string
	// MessageID is ours, from the tag TagMessageID; zero in what was not sent by us, or carries no tags.
	MessageID uuid.UUID
	// Probe is that of a probe, from the tag TagProbe; zero in all others.
	Probe uuid.UUID
	// ProviderMessageID is that of SES.
	ProviderMessageID string
	// SentAt is when SES took the message, At when the event happened; zero when it does not say.
	SentAt, At time.Time
	// FeedbackID tells one bounce or complaint from another.
	FeedbackID string
	// Type and Subtype are those of a bounce; a complaint has a Subtype and its feedback type; a delay has a Type.
	Type, Subtype string
	// Recipients are those that the event concerns, where it says so.
	Recipients []EventRecipient
	// Reason is why SES refused the message.
	Reason string
	// Response is what the recipient's server said when it took the message.
	Response string
	// Link was followed; UserAgent and IPAddress are whose who opened or followed.
	Link, UserAgent, IPAddress string
}

// EventRecipient is one recipient of an event.
type EventRecipient struct {
	Address string
	// Status is an enhanced status code (RFC 3463), Diagnostic what the recipient's server said.
	Status, Diagnostic string
}

// report is an event as it is published, or a notification about an identity, which says notificationType.
type report struct {
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
		BouncedRecipients                                []reportRecipient
	}
	Complaint struct {
		ComplaintFeedbackType, ComplaintSubType, FeedbackID, Timestamp string
		ComplainedRecipients                                           []reportRecipient
	}
	DeliveryDelay struct {
		DelayType, Timestamp string
		DelayedRecipients    []reportRecipient
	}
	Reject  struct{ Reason string }
	Failure struct{ ErrorMessage string }
	Open    struct{ Timestamp, UserAgent, IPAddress string }
	Click   struct{ Timestamp, UserAgent, IPAddress, Link string }
}

type reportRecipient struct{ EmailAddress, Status, DiagnosticCode string }

// ParseEvent reads an event. It fails for what is no event of SES, such as the greeting of a new topic.
func ParseEvent(body []byte) (Event, error) {
	var said report
	if err := json.Unmarshal(body, &said); err != nil {
		return Event{}, errors.New("it is not a JSON document of SES")
	}
	event := Event{Kind: said.EventType, ProviderMessageID: text(said.Mail.MessageID), SentAt: moment(said.Mail.Timestamp)}
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

// fill takes what is said of the kind of event that it is.
func (said *report) fill(event *Event) {
	switch event.Kind {
	case EventDelivery:
		event.At, event.Response = moment(said.Delivery.Timestamp), text(said.Delivery.SMTPResponse)
		for _, address := range said.Delivery.Recipients {
			event.add(reportRecipient{EmailAddress: address})
		}
	case EventBounce:
		about := said.Bounce
		event.At, event.FeedbackID = moment(about.Timestamp), text(about.FeedbackID)
		event.Type, event.Subtype = text(about.BounceType), text(about.BounceSubType)
		event.add(about.BouncedRecipients...)
	case EventComplaint:
		about := said.Complaint
		event.At, event.FeedbackID = moment(about.Timestamp), text(about.FeedbackID)
		event.Type, event.Subtype = text(about.ComplaintFeedbackType), text(about.ComplaintSubType)
		event.add(about.ComplainedRecipients...)
	case EventDelay:
		event.At, event.Type = moment(said.DeliveryDelay.Timestamp), text(said.DeliveryDelay.DelayType)
		event.add(said.DeliveryDelay.DelayedRecipients...)
	case EventReject:
		event.Reason = text(said.Reject.Reason)
	case EventRenderingFailure:
		event.Reason = text(said.Failure.ErrorMessage)
	case EventOpen:
		about := said.Open
		event.At, event.UserAgent, event.IPAddress = moment(about.Timestamp), text(about.UserAgent), text(about.IPAddress)
		event.addOnly(said.Mail.Destination)
	case EventClick:
		about := said.Click
		event.At, event.UserAgent, event.IPAddress = moment(about.Timestamp), text(about.UserAgent), text(about.IPAddress)
		event.Link = text(about.Link)
		event.addOnly(said.Mail.Destination)
	}
}

func (event *Event) add(found ...reportRecipient) {
	for _, one := range found[:min(len(found), maxEventRecipients)] {
		event.Recipients = append(event.Recipients, EventRecipient{
			Address: text(one.EmailAddress), Status: text(one.Status), Diagnostic: text(one.DiagnosticCode),
		})
	}
}

// addOnly adds the recipient of a message that has one. Of others nobody can tell who opened it.
func (event *Event) addOnly(destination []string) {
	if len(destination) == 1 {
		event.add(reportRecipient{EmailAddress: destination[0]})
	}
}

// taggedID reads a tag of ours. The values of tags are lists; a string is taken too.
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

// moment reads a time; one that cannot be stored and shown again is none.
func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.UTC().Year() < 2000 || at.UTC().Year() > 9000 {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Microsecond)
}

// text makes what comes from outside storable and small.
func text(s string) string {
	if len(s) > maxEventText {
		s = s[:maxEventText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
