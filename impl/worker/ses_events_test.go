package worker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
)

const (
	firstRecipient  = "To.0@rcpt.example"
	secondRecipient = "hidden@rcpt.example"
)

// event returns an event of SES about a message: its kind, and the member with the details of that kind.
func event(id uuid.UUID, kind, member, detail string) string {
	return fmt.Sprintf(`{"eventType":%q,%q:%s,"mail":{"timestamp":"2026-03-01T12:00:00Z","messageId":"ses-%s","destination":[%q,%q],`+
		`"tags":{"mailstack-message-id":[%q]}}}`, kind, member, detail, id, firstRecipient, secondRecipient, id)
}

func sendEvent(id uuid.UUID) string { return event(id, "Send", "send", "{}") }

func deliveryEvent(id uuid.UUID, to string) string {
	return event(id, "Delivery", "delivery", fmt.Sprintf(`{"timestamp":"2026-03-01T12:00:01Z","recipients":[%q],"smtpResponse":"250 ok"}`, to))
}

func bounceEvent(id uuid.UUID, to, kind, subtype, feedback string) string {
	return event(id, "Bounce", "bounce", fmt.Sprintf(`{"bounceType":%q,"bounceSubType":%q,"feedbackId":%q,"timestamp":"2026-03-01T12:00:02Z",`+
		`"bouncedRecipients":[{"emailAddress":%q,"status":"5.1.1","diagnosticCode":"smtp; 550 %s"}]}`, kind, subtype, feedback, to, feedback))
}

func complaintEvent(id uuid.UUID, to string) string {
	return event(id, "Complaint", "complaint", fmt.Sprintf(`{"feedbackId":"c-%s","timestamp":"2026-03-01T12:00:03Z","complaintFeedbackType":"abuse",`+
		`"complainedRecipients":[{"emailAddress":%q}]}`, to, to))
}

func rejectEvent(id uuid.UUID) string {
	return event(id, "Reject", "reject", `{"reason":"Bad content"}`)
}

func delayEvent(id uuid.UUID, to string) string {
	return event(id, "DeliveryDelay", "deliveryDelay", fmt.Sprintf(`{"delayType":"MailboxFull","timestamp":"2026-03-01T12:00:01Z","delayedRecipients":[{"emailAddress":%q}]}`, to))
}

func openEvent(id uuid.UUID) string {
	return event(id, "Open", "open", `{"timestamp":"2026-03-01T13:00:00Z","userAgent":"x","ipAddress":"192.0.2.1"}`)
}

func clickEvent(id uuid.UUID) string {
	return event(id, "Click", "click", `{"timestamp":"2026-03-01T13:00:01Z","userAgent":"x","ipAddress":"192.0.2.1","link":"https://a.test/"}`)
}

// notify stores notifications as the API does, each with an id of its own.
func (h *house) notify(t testing.TB, bodies ...string) {
	t.Helper()
	rows := db.NotificationInsertParams{Bodies: bodies, Now: h.clock.Now()}
	for range bodies {
		rows.MessageIds = append(rows.MessageIds, uuid.NewString())
	}
	stored, err := h.store.Queries().NotificationInsert(t.Context(), rows)
	must(t, err)
	if stored != int64(len(bodies)) {
		t.Fatalf("%d notifications were stored", stored)
	}
}

// noSends deletes all due rows of messages, as if another process had sent the messages.
func (h *house) noSends(t testing.TB) {
	t.Helper()
	h.exec(t, "DELETE FROM sends")
}

// picture is everything that events decide.
type picture struct {
	Email      string
	Recipients []string
	Events     []string
	Suppressed []string
}

func (h *house) picture(t testing.TB, o tenant, id uuid.UUID) picture {
	t.Helper()
	email := h.email(t, o, id)
	show := func(text *string) string {
		if text == nil {
			return "-"
		}
		return strings.ReplaceAll(*text, id.String(), "ID")
	}
	seen := picture{Email: fmt.Sprintf("%s, %s, %s, sent %t", mail.Outcome(email.Outcome).Status(), show(email.ErrorMessage), show(email.ProviderMessageID), email.SentAt != nil)}
	recipients, err := h.store.Queries().RecipientList(t.Context(), db.RecipientListParams{OrganizationID: o.id, EmailID: id})
	must(t, err)
	for _, recipient := range recipients {
		seen.Recipients = append(seen.Recipients, mail.Outcome(recipient.Outcome).Status())
	}
	for _, one := range h.events(t, o, id) {
		seen.Events = append(seen.Events, strings.ReplaceAll(one.FactKey+" "+one.Type+" "+string(one.Data), id.String(), "ID"))
	}
	slices.Sort(seen.Events)
	rows, err := h.store.Pool().Query(t.Context(), "SELECT address_key || ' ' || reason AS one FROM suppressions WHERE organization_id = $1 ORDER BY 1", o.id)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var one string
		must(t, rows.Scan(&one))
		seen.Suppressed = append(seen.Suppressed, one)
	}
	must(t, rows.Err())
	return seen
}

// learnAll makes passes until nothing is due.
func (h *house) learnAll(t testing.TB) {
	t.Helper()
	for {
		claimed, err := h.worker.RunOnce(t.Context())
		must(t, err)
		if claimed == 0 {
			return
		}
	}
}
