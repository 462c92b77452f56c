package sesevents

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
)

// The reasons of suppressions.
const (
	suppressedByBounce    = "Bounce"
	suppressedByComplaint = "Complaint"
)

// emailEvent is an email event that SES reported. Its key identifies it, however often and by whichever process it
// is stored.
type emailEvent struct {
	key, eventType string
	at             time.Time
	data           emailEventData
	// positions are the positions of the affected recipients; empty when they are unknown.
	positions []int16
	// suppress is the reason to suppress addressKey. Empty means that it is not suppressed.
	suppress, addressKey string
}

func (f emailEvent) outcome() mail.Outcome { return mail.OutcomeOfEvent(f.eventType, f.key) }

// emailEventData is the data of an email event. Recipient and Reason are shown apart from the rest.
type emailEventData struct {
	Recipient         string `json:"recipient,omitempty"`
	Reason            string `json:"reason,omitempty"`
	ProviderMessageID string `json:"providerMessageId,omitempty"`
	Code              string `json:"code,omitempty"`
	BounceType        string `json:"bounceType,omitempty"`
	BounceSubType     string `json:"bounceSubType,omitempty"`
	FeedbackType      string `json:"feedbackType,omitempty"`
	DelayType         string `json:"delayType,omitempty"`
	StatusCode        string `json:"statusCode,omitempty"`
	DiagnosticCode    string `json:"diagnosticCode,omitempty"`
	SMTPResponse      string `json:"smtpResponse,omitempty"`
	Link              string `json:"link,omitempty"`
	UserAgent         string `json:"userAgent,omitempty"`
	IPAddress         string `json:"ipAddress,omitempty"`
	Automated         *bool  `json:"automated,omitempty"`
}

// emailEventsFrom turns an event of SES into email events: one per recipient that it concerns, or one about the
// whole message. It depends only on its arguments, so that the same event of SES always makes the same email
// events.
func emailEventsFrom(event ses.Event, recipients []db.Recipient) []emailEvent {
	whole := func(key, factType string, data emailEventData) []emailEvent {
		return []emailEvent{{key: key, eventType: factType, at: event.At, data: data, positions: positionsOf(recipients)}}
	}
	id := event.ProviderMessageID
	switch event.Kind {
	case ses.EventSend:
		return whole(mail.EventKeySent, mail.EventTypeSent, emailEventData{ProviderMessageID: id})
	case ses.EventReject:
		return whole(mail.EventWordRejected+"/"+id, mail.EventTypeFailed, emailEventData{Code: "rejected", Reason: ses.StorableText("Amazon SES refused the message: " + event.Reason)})
	case ses.EventRenderingFailure:
		return whole(mail.EventWordRejected+"/"+id, mail.EventTypeFailed, emailEventData{Code: "rendering-failed", Reason: ses.StorableText("Amazon SES could not render the message: " + event.Reason)})
	case ses.EventDelivery:
		return perRecipient(event, recipients, "delivered", mail.EventTypeDelivered, id, func(ses.EventRecipient) emailEventData {
			return emailEventData{SMTPResponse: event.Response}
		})
	case ses.EventBounce:
		return bounces(event, recipients)
	case ses.EventComplaint:
		return complaints(event, recipients)
	case ses.EventDelay:
		return perRecipient(event, recipients, "delayed", mail.EventTypeDelayed, id+"/"+timestamp(event.At), func(one ses.EventRecipient) emailEventData {
			return emailEventData{
				DelayType: event.Type, StatusCode: one.Status, DiagnosticCode: one.Diagnostic,
				Reason: sentence("The delivery is delayed", one.Diagnostic),
			}
		})
	case ses.EventOpen:
		word := byWhom(event, "opened", mail.EventWordOpenedByMachine)
		return perRecipient(event, recipients, word, mail.EventTypeOpened, id+"/"+timestamp(event.At)+"/"+digest(event), func(ses.EventRecipient) emailEventData {
			return emailEventData{UserAgent: event.UserAgent, IPAddress: event.IPAddress, Automated: event.Automated}
		})
	case ses.EventClick:
		word := byWhom(event, "clicked", mail.EventWordClickedByMachine)
		return perRecipient(event, recipients, word, mail.EventTypeClicked, id+"/"+timestamp(event.At)+"/"+digest(event), func(ses.EventRecipient) emailEventData {
			return emailEventData{Link: event.Link, UserAgent: event.UserAgent, IPAddress: event.IPAddress, Automated: event.Automated}
		})
	default:
		return nil
	}
}

// byWhom returns the word of an open or a click by a person, or by a program: two kinds of facts, which are counted apart.
func byWhom(event ses.Event, person, program string) string {
	if event.Automated != nil && *event.Automated {
		return program
	}
	return person
}

func bounces(event ses.Event, recipients []db.Recipient) []emailEvent {
	notTried := slices.Contains(ses.SuppressionSubtypes(), event.Subtype)
	word := "bounced"
	if event.Type == ses.BounceTransient && event.Subtype == ses.BounceGeneral {
		word = mail.EventWordSoftBounced
	}
	found := perRecipient(event, recipients, word, mail.EventTypeBounced, feedbackKey(event), func(one ses.EventRecipient) emailEventData {
		reason := sentence("The recipient's mail server did not take the message", one.Diagnostic)
		if notTried {
			reason = suppressedReason(event.Subtype)
		}
		return emailEventData{
			BounceType: event.Type, BounceSubType: event.Subtype, StatusCode: one.Status, DiagnosticCode: one.Diagnostic,
			Reason: reason,
		}
	})
	if event.Type == ses.BouncePermanent && !notTried {
		markSuppressions(found, suppressedByBounce)
	}
	return found
}

// complaints returns the email events of a complaint. A complaint with a suppression subtype becomes a bounce: SES
// skipped delivery, and the complaint was about an earlier message.
func complaints(event ses.Event, recipients []db.Recipient) []emailEvent {
	if slices.Contains(ses.SuppressionSubtypes(), event.Subtype) {
		return perRecipient(event, recipients, "bounced", mail.EventTypeBounced, feedbackKey(event), func(ses.EventRecipient) emailEventData {
			return emailEventData{BounceSubType: event.Subtype, Reason: suppressedReason(event.Subtype)}
		})
	}
	if event.Type == ses.ComplaintNotSpam {
		return nil
	}
	if len(event.Recipients) > 1 {
		// AWS names all recipients of the message at the provider that reported: any of them may have complained. The message is
		// complained about, and no address is suppressed for what another did.
		// https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#complained-recipients
		event.Recipients = nil
	}
	found := perRecipient(event, recipients, "complained", mail.EventTypeComplained, feedbackKey(event), func(ses.EventRecipient) emailEventData {
		return emailEventData{FeedbackType: event.Type, Reason: sentence("The recipient reported the message as unwanted", event.Type)}
	})
	markSuppressions(found, suppressedByComplaint)
	return found
}

// suppressedReason returns the reason, for people, of a bounce with a suppression subtype.
func suppressedReason(subtype string) string {
	return "Amazon SES did not try to deliver the message: the address is on a suppression list of SES (" + subtype + ")."
}

// markSuppressions marks the events about known recipients as reasons to suppress their addresses.
func markSuppressions(facts []emailEvent, reason string) {
	for i := range facts {
		if facts[i].addressKey != "" {
			facts[i].suppress = reason
		}
	}
}

// perRecipient makes an email event per recipient of an event of SES. An address that we did not send to
// (forwarded mail, hidden addresses) is attributed to the message's only recipient; with several recipients, to none.
func perRecipient(event ses.Event, recipients []db.Recipient, word, factType, rest string, data func(ses.EventRecipient) emailEventData) []emailEvent {
	named := event.Recipients
	if len(named) == 0 {
		named = []ses.EventRecipient{{}}
	}
	var found []emailEvent
	for _, one := range named {
		about := emailEvent{key: word + "/-/" + rest, eventType: factType, at: event.At, data: data(one)}
		if concerned := recipientsMatching(recipients, one.Address); len(concerned) > 0 {
			about.key = fmt.Sprintf("%s/%d/%s", word, concerned[0].Position, rest)
			about.addressKey, about.data.Recipient = concerned[0].AddressKey, concerned[0].Address
			about.positions = positionsOf(concerned)
		}
		if !slices.ContainsFunc(found, func(other emailEvent) bool { return other.key == about.key }) {
			found = append(found, about)
		}
	}
	return found
}

// recipientsMatching returns the rows of an address, or of the message's only recipient. An address can have
// several rows, since a message may name it in several fields.
func recipientsMatching(recipients []db.Recipient, address string) []db.Recipient {
	key := strings.ToLower(strings.TrimSpace(address))
	if parsed, err := mail.ParseAddress(address); err == nil {
		key = parsed.Key()
	}
	named := func(key string) []db.Recipient {
		var rows []db.Recipient
		for _, row := range recipients {
			if row.AddressKey == key {
				rows = append(rows, row)
			}
		}
		return rows
	}
	if rows := named(key); len(rows) > 0 || len(recipients) == 0 {
		return rows
	}
	if rows := named(recipients[0].AddressKey); len(rows) == len(recipients) {
		return rows
	}
	return nil
}

func positionsOf(recipients []db.Recipient) []int16 {
	positions := make([]int16, len(recipients))
	for i, row := range recipients {
		positions[i] = row.Position
	}
	return positions
}

// highestOutcome returns the highest outcome of the events.
func highestOutcome(facts []emailEvent) mail.Outcome {
	reached := mail.OutcomeQueued
	for _, fact := range facts {
		reached = mail.Higher(reached, fact.outcome())
	}
	return reached
}

// feedbackKey returns the key that distinguishes one bounce or complaint from another.
func feedbackKey(event ses.Event) string {
	return cmp.Or(event.FeedbackID, event.ProviderMessageID+"/"+timestamp(event.At))
}

func timestamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// digest distinguishes the opens or clicks of two people at the same moment.
func digest(event ses.Event) string {
	sum := sha256.Sum256([]byte(event.UserAgent + "\x00" + event.IPAddress + "\x00" + event.Link))
	return hex.EncodeToString(sum[:8])
}

func sentence(what, said string) string {
	if said == "" {
		return what + "."
	}
	return ses.StorableText(what + ": " + said)
}
