package worker_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/gen/db"
)

// sendRow is the due row of a message.
type sendRow struct {
	DueAt             time.Time
	Attempt           int32
	LeasedUntil       *time.Time
	AmbiguousAttempts int32
}

// row returns the due row of a message, nil when its work is done.
func (h *house) row(t testing.TB, id uuid.UUID) *sendRow {
	t.Helper()
	rows, err := h.store.Pool().Query(t.Context(),
		"SELECT due_at, attempt, leased_until, ambiguous_attempts FROM sends WHERE email_id = $1", id)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByPos[sendRow])
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// waiting requires that a message is still queued, and returns its due row.
func (h *house) waiting(t testing.TB, o tenant, id uuid.UUID) *sendRow {
	t.Helper()
	row := h.row(t, id)
	if row == nil {
		t.Fatal("the message is not due any more")
	}
	if row.LeasedUntil != nil || !row.DueAt.After(h.clock.Now()) {
		t.Fatalf("the message was not postponed: %+v", *row)
	}
	if email := h.email(t, o, id); email.Outcome != 0 || email.ErrorMessage != nil {
		t.Fatalf("a message that waits has outcome %d", email.Outcome)
	}
	return row
}

func (h *house) email(t testing.TB, o tenant, id uuid.UUID) db.Email {
	t.Helper()
	email, err := h.store.Queries().EmailGet(t.Context(), db.EmailGetParams{OrganizationID: o.id, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return email
}

// events returns up to 100 events about a message, the one stored last first.
func (h *house) events(t testing.TB, o tenant, id uuid.UUID) []db.Event {
	t.Helper()
	events, err := h.store.Queries().EventList(t.Context(), db.EventListParams{
		OrganizationID: o.id, EmailID: id, BeforeID: uuid.Max, MaxRows: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// requireSent requires that a message is stored as sent, in every row.
func (h *house) requireSent(t testing.TB, o tenant, id uuid.UUID) {
	t.Helper()
	h.requireOutcome(t, o, id, 2, "email.sent")
	email := h.email(t, o, id)
	if email.ProviderMessageID == nil || email.SentAt == nil || email.ErrorMessage != nil {
		t.Errorf("a sent message is stored as %+v", email)
	}
}

// requireFailed requires that a message is stored as failed with a reason.
func (h *house) requireFailed(t testing.TB, o tenant, id uuid.UUID, reason string) {
	t.Helper()
	h.requireOutcome(t, o, id, 1, "email.failed")
	email := h.email(t, o, id)
	if email.ErrorMessage == nil || *email.ErrorMessage != reason || email.SentAt != nil {
		t.Errorf("a failed message is stored as %+v, want the reason %q", email, reason)
	}
}

func (h *house) requireOutcome(t testing.TB, o tenant, id uuid.UUID, outcome int16, eventType string) {
	t.Helper()
	if row := h.row(t, id); row != nil {
		t.Errorf("the message is still due: %+v", *row)
	}
	if got := h.email(t, o, id).Outcome; got != outcome {
		t.Errorf("the message has outcome %d, want %d", got, outcome)
	}
	recipients, err := h.store.Queries().RecipientList(t.Context(), db.RecipientListParams{OrganizationID: o.id, EmailID: id})
	if err != nil {
		t.Fatal(err)
	}
	for _, recipient := range recipients {
		if recipient.Outcome != outcome {
			t.Errorf("a recipient has outcome %d, want %d", recipient.Outcome, outcome)
		}
	}
	events := h.events(t, o, id)
	if len(events) != 1 || events[0].Type != eventType {
		t.Errorf("the message has the events %+v, want one %s", events, eventType)
	}
}
