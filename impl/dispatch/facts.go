package dispatch

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

// reported is a fact that SES reported. Its key makes it the same fact however often, and by whomever, it is stored.
type reported struct {
	key, factType string
	at            time.Time
	data          reportedData
	// positions are the recipients whom it concerns: none when nobody can tell which.
	positions []int16
	// suppress is the reason to suppress addressKey; empty: there is none.
	suppress, addressKey string
}

func (f reported) outcome() mail.Outcome { return mail.OutcomeOfFact(f.factType, f.key) }

// reportedData is the data of an event. Recipient and Reason are shown apart from the rest.
type reportedData struct {
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
}

// factsOf turns an event into facts about the recipients of a message: one per recipient that it concerns, or one about
// the whole message. It depends on nothing but its arguments, so that the same event always makes the same facts.
func factsOf(event ses.Event, recipients []db.Recipient) []reported {
	whole := func(key, factType string, data reportedData) []reported {
		return []reported{{key: key, factType: factType, at: event.At, data: data, positions: positionsOf(recipients)}}
	}
	id := event.ProviderMessageID
	switch event.Kind {
	case ses.EventSend:
		return whole(mail.FactKeySent, mail.FactSent, reportedData{ProviderMessageID: id})
	case ses.EventReject:
		return whole("rejected/"+id, mail.FactFailed, reportedData{Code: "rejected", Reason: clean("Amazon SES refused the message: " + event.Reason)})
	case ses.EventRenderingFailure:
		return whole("rejected/"+id, mail.FactFailed, reportedData{Code: "rendering-failed", Reason: clean("Amazon SES could not render the message: " + event.Reason)})
	case ses.EventDelivery:
		return each(event, recipients, "delivered", mail.FactDelivered, id, func(ses.EventRecipient) reportedData {
			return reportedData{SMTPResponse: event.Response}
		})
	case ses.EventBounce:
		return bounces(event, recipients)
	case ses.EventComplaint:
		return complaints(event, recipients)
	case ses.EventDelay:
		return each(event, recipients, "delayed", mail.FactDelayed, id+"/"+stamp(event.At), func(one ses.EventRecipient) reportedData {
			return reportedData{
				DelayType: event.Type, StatusCode: one.Status, DiagnosticCode: one.Diagnostic,
				Reason: sentence("The delivery is delayed", one.Diagnostic),
			}
		})
	case ses.EventOpen:
		return each(event, recipients, "opened", mail.FactOpened, id+"/"+stamp(event.At)+"/"+digest(event), func(ses.EventRecipient) reportedData {
			return reportedData{UserAgent: event.UserAgent, IPAddress: event.IPAddress}
		})
	case ses.EventClick:
		return each(event, recipients, "clicked", mail.FactClicked, id+"/"+stamp(event.At)+"/"+digest(event), func(ses.EventRecipient) reportedData {
			return reportedData{Link: event.Link, UserAgent: event.UserAgent, IPAddress: event.IPAddress}
		})
	default:
		return nil
	}
}

func bounces(event ses.Event, recipients []db.Recipient) []reported {
	notTried := slices.Contains(ses.SubtypesNotTried(), event.Subtype)
	found := each(event, recipients, "bounced", mail.FactBounced, feedback(event), func(one ses.EventRecipient) reportedData {
		reason := sentence("The recipient's mail server did not take the message", one.Diagnostic)
		if notTried {
			reason = notTriedReason(event.Subtype)
		}
		return reportedData{
			BounceType: event.Type, BounceSubType: event.Subtype, StatusCode: one.Status, DiagnosticCode: one.Diagnostic,
			Reason: reason,
		}
	})
	if event.Type == ses.BouncePermanent && !notTried {
		suppress(found, suppressedByBounce)
	}
	return found
}

// complaints: one about mail that SES did not try to deliver is nobody's complaint, but that of an earlier message.
func complaints(event ses.Event, recipients []db.Recipient) []reported {
	if slices.Contains(ses.SubtypesNotTried(), event.Subtype) {
		return each(event, recipients, "bounced", mail.FactBounced, feedback(event), func(ses.EventRecipient) reportedData {
			return reportedData{BounceSubType: event.Subtype, Reason: notTriedReason(event.Subtype)}
		})
	}
	found := each(event, recipients, "complained", mail.FactComplained, feedback(event), func(ses.EventRecipient) reportedData {
		return reportedData{FeedbackType: event.Type, Reason: sentence("The recipient reported the message as unwanted", event.Type)}
	})
	suppress(found, suppressedByComplaint)
	return found
}

// notTriedReason is for people.
func notTriedReason(subtype string) string {
	return "Amazon SES did not try to deliver the message: the address is on a suppression list of SES (" + subtype + ")."
}

// suppress marks the facts about known recipients as reasons to send them nothing more.
func suppress(facts []reported, reason string) {
	for i := range facts {
		if facts[i].addressKey != "" {
			facts[i].suppress = reason
		}
	}
}

// each makes a fact per recipient of an event. One whom the message does not have is the only recipient that it has, as
// mail is forwarded and addresses are hidden; of several, nobody can tell which.
func each(event ses.Event, recipients []db.Recipient, word, factType, rest string, data func(ses.EventRecipient) reportedData) []reported {
	named := event.Recipients
	if len(named) == 0 {
		named = []ses.EventRecipient{{}}
	}
	var found []reported
	for _, one := range named {
		about := reported{key: word + "/-/" + rest, factType: factType, at: event.At, data: data(one)}
		if concerned := among(recipients, one.Address); len(concerned) > 0 {
			about.key = fmt.Sprintf("%s/%d/%s", word, concerned[0].Position, rest)
			about.addressKey, about.data.Recipient = concerned[0].AddressKey, concerned[0].Address
			about.positions = positionsOf(concerned)
		}
		if !slices.ContainsFunc(found, func(other reported) bool { return other.key == about.key }) {
			found = append(found, about)
		}
	}
	return found
}

// among are the rows of an address: a message may name one in several fields.
func among(recipients []db.Recipient, address string) []db.Recipient {
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

// highest is the highest outcome that facts tell of.
func highest(facts []reported) mail.Outcome {
	reached := mail.OutcomeQueued
	for _, fact := range facts {
		reached = max(reached, fact.outcome())
	}
	return reached
}

// feedback tells one bounce or complaint from another.
func feedback(event ses.Event) string {
	return cmp.Or(event.FeedbackID, event.ProviderMessageID+"/"+stamp(event.At))
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// digest tells what two people did at the same moment apart.
func digest(event ses.Event) string {
	sum := sha256.Sum256([]byte(event.UserAgent + "\x00" + event.IPAddress + "\x00" + event.Link))
	return hex.EncodeToString(sum[:8])
}

func sentence(what, said string) string {
	if said == "" {
		return what + "."
	}
	return clean(what + ": " + said)
}
