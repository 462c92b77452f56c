package reputation_test

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/reputation"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// world is a database, a clock and a watcher with the default thresholds.
type world struct {
	*reputation.Watcher
	t     *testing.T
	store *store.Store
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	// Noon, so that a few minutes stay within a day.
	w := &world{t: t, store: storetest.New(t), now: time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)}
	w.Watcher = &reputation.Watcher{
		Store: w.store, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
		Thresholds: reputation.Thresholds{
			MinRecipients: 200,
			Bounces:       reputation.Levels{Warning: 0.04, Pause: 0.08},
			Complaints:    reputation.Levels{Warning: 0.0008, Pause: 0.003},
		},
	}
	w.execute("UPDATE reputation_progress SET counted_to = uuid_floor($1)", w.now.Add(-time.Minute))
	return w
}

func (w *world) execute(statement string, arguments ...any) {
	w.t.Helper()
	_, err := w.store.Pool().Exec(w.t.Context(), statement, arguments...)
	must(w.t, err)
}

// sender is an organization with a webhook for warnings, and its domains.
type sender struct {
	*world
	id      uuid.UUID
	domains map[string]uuid.UUID
}

func (w *world) sender(domains ...string) *sender {
	w.t.Helper()
	s := &sender{world: w, id: uuid.Must(uuid.NewV7()), domains: map[string]uuid.UUID{}}
	queries, ctx := w.store.Queries(), w.t.Context()
	must(w.t, queries.OrganizationInsert(ctx, db.OrganizationInsertParams{ID: s.id, Name: s.id.String(), CreatedAt: w.now}))
	for _, name := range domains {
		s.domains[name] = uuid.Must(uuid.NewV7())
		_, err := queries.DomainInsert(ctx, db.DomainInsertParams{ID: s.domains[name], OrganizationID: s.id, Name: name, Now: w.now})
		must(w.t, err)
	}
	w.execute(`INSERT INTO webhooks (id, organization_id, url, events, enabled, sealed_secret, created_at, updated_at)
		VALUES ($1, $1, 'https://example.com', '{organization.warning}', true, '', $2, $2)`, s.id, w.now)
	return s
}

// idAt returns a version-7 id of a time.
func idAt(t *testing.T, at time.Time) (id uuid.UUID) {
	t.Helper()
	_, err := rand.Read(id[:])
	must(t, err)
	var milliseconds [8]byte
	binary.BigEndian.PutUint64(milliseconds[:], uint64(at.UnixMilli())<<16)
	copy(id[:6], milliseconds[:6])
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}

// send stores messages from a domain as if they had been accepted now and sent, each to one recipient.
func (s *sender) send(domain string, recipients ...string) (ids []uuid.UUID) {
	s.t.Helper()
	emails := db.EmailInsertParams{Now: s.now}
	var rows db.RecipientInsertParams
	for _, recipient := range recipients {
		id := idAt(s.t, s.now)
		ids = append(ids, id)
		emails.Ids, emails.OrganizationIds = append(emails.Ids, id), append(emails.OrganizationIds, s.id)
		emails.APIKeyIds, emails.DomainIds = append(emails.APIKeyIds, uuid.Nil), append(emails.DomainIds, s.domains[domain])
		for _, text := range []*[]string{
			&emails.FromEmails, &emails.FromNames, &emails.ToEmails, &emails.Ccs, &emails.Bccs, &emails.ReplyTos, &emails.Subjects, &emails.Tags,
		} {
			*text = append(*text, "")
		}
		rows.EmailIds, rows.Positions = append(rows.EmailIds, id), append(rows.Positions, 0)
		rows.OrganizationIds, rows.Kinds = append(rows.OrganizationIds, s.id), append(rows.Kinds, "to")
		rows.Names, rows.Addresses = append(rows.Names, ""), append(rows.Addresses, recipient)
		rows.AddressKeys = append(rows.AddressKeys, recipient)
	}
	must(s.t, s.store.Queries().EmailInsert(s.t.Context(), emails))
	must(s.t, s.store.Queries().RecipientInsert(s.t.Context(), rows))
	return ids
}

// fail stores bounces or complaints about messages.
func (s *sender) fail(kind string, ids []uuid.UUID, recipients []string) {
	s.t.Helper()
	rows := db.ReputationFactInsertParams{Now: s.now, EmailIds: ids, Recipients: recipients}
	for range ids {
		rows.OrganizationIds, rows.Kinds = append(rows.OrganizationIds, s.id), append(rows.Kinds, kind)
	}
	must(s.t, s.store.Queries().ReputationFactInsert(s.t.Context(), rows))
}

// mail sends messages to so many recipients; those to the first of them bounce.
func (s *sender) mail(domain string, count, bouncing int) {
	s.t.Helper()
	to := people(count)
	s.fail("bounce", s.send(domain, to...)[:bouncing], to[:bouncing])
}

// people returns so many addresses, the same on every call.
func people(count int) []string {
	addresses := make([]string, count)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("%d@example.com", i)
	}
	return addresses
}

// watch lets the time pass until recipients are counted, and runs the watcher.
func (w *world) watch() {
	w.t.Helper()
	w.now = w.now.Add(3 * time.Minute)
	must(w.t, w.Run(w.t.Context()))
}

// rates returns the stored rates of a domain, or of the organization if it is empty.
func (s *sender) rates(domain string) db.Reputation {
	s.t.Helper()
	rows, err := s.store.Queries().ReputationList(s.t.Context(), s.id)
	must(s.t, err)
	for _, row := range rows {
		if row.Domain == domain {
			return row
		}
	}
	return db.Reputation{}
}

// paused reports whether the organization may not send.
func (s *sender) paused() bool {
	s.t.Helper()
	row, err := s.store.Queries().OrganizationGet(s.t.Context(), s.id)
	must(s.t, err)
	return row.SendingPausedAt != nil
}

// told returns the events of the organization, in the order in which they were made.
func (s *sender) told() (events []api.WebhookOrganizationEvent) {
	s.t.Helper()
	rows, err := s.store.Pool().Query(s.t.Context(), `SELECT payload FROM deliveries WHERE organization_id = $1 ORDER BY event_id`, s.id)
	must(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var payload string
		must(s.t, rows.Scan(&payload))
		var event api.WebhookOrganizationEvent
		must(s.t, json.Unmarshal([]byte(payload), &event))
		events = append(events, event)
	}
	must(s.t, rows.Err())
	return events
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
