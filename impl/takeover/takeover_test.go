package takeover_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/takeover"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// testTimeout bounds how long a test waits for something that must happen.
const testTimeout = 60 * time.Second

// member is a worker process with a session.
type member struct {
	*takeover.Session
	stop func() // waits for its end
}

func join(t *testing.T, s *store.Store) *member {
	t.Helper()
	m := &member{Session: takeover.New(takeover.Config{
		Store: s, Now: time.Now, Random: rand.Float64, Log: slog.New(slog.DiscardHandler),
	})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx, func() {})
	}()
	m.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(m.stop)
	m.id(t)
	return m
}

// id waits until there is a session, and returns the id of its worker.
func (m *member) id(t *testing.T) uuid.UUID {
	t.Helper()
	var id *uuid.UUID
	eventually(t, "there is a session", func() bool {
		var ready bool
		id, ready = m.Worker()
		return ready && id != nil
	})
	return *id
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-again.C:
		}
	}
}

func exec(t *testing.T, s *store.Store, statement string, args ...any) {
	t.Helper()
	if _, err := s.Pool().Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *store.Store, query string, args ...any) (n int) {
	t.Helper()
	if err := s.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// lease is how long claims of these tests last.
func lease() time.Time { return time.Now().Add(time.Hour).Truncate(time.Microsecond) }

// claim leases new messages to a worker, and notes that they are not started.
func claim(t *testing.T, s *store.Store, worker uuid.UUID, until time.Time, n int) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.New()
		exec(t, s, "INSERT INTO sends (email_id, organization_id, due_at, leased_until, attempt) VALUES ($1, $2, $3, $3, 1)", ids[i], uuid.New(), until)
	}
	err := s.Queries().UnstartedSendInsert(t.Context(), db.UnstartedSendInsertParams{WorkerID: worker, LeasedUntil: until, EmailIds: ids})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

const isDue = "SELECT count(*) FROM sends WHERE email_id = ANY ($1) AND leased_until IS NULL AND due_at <= now() AND attempt = 1"

func TestWhatAWorkerLeftIsTakenOver(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	s := storetest.Open(t, url)
	dead, heir := join(t, s), join(t, storetest.Open(t, url))
	id := dead.id(t)

	unstarted := claim(t, s, id, lease(), 3)
	startedUntil := lease().Add(time.Second)
	started := claim(t, s, id, startedUntil, 2)
	if err := dead.Start(t.Context(), id, startedUntil); err != nil {
		t.Fatal(err)
	}
	others := claim(t, s, heir.id(t), lease(), 1)
	lapsed := claim(t, s, id, lease().Add(2*time.Second), 1)
	exec(t, s, "UPDATE sends SET leased_until = leased_until + interval '1 minute' WHERE email_id = $1", lapsed[0])
	for _, worker := range []uuid.UUID{id, heir.id(t)} {
		exec(t, s, `INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, created_at, due_at, leased_until, worker_id)
			VALUES (gen_random_uuid(), $1, $1, $1, 'email.sent', '{}', now(), $2, $2, $1)`, worker, lease())
	}

	dead.stop()
	eventually(t, "the worker is taken over", func() bool {
		return count(t, s, "SELECT count(*) FROM workers WHERE id = $1", id) == 0
	})
	if n := count(t, s, isDue, unstarted); n != len(unstarted) {
		t.Errorf("%d of %d messages that were not started are due", n, len(unstarted))
	}
	if n := count(t, s, isDue, append(append(started, others...), lapsed...)); n > 0 {
		t.Errorf("%d messages are due that may be at SES, or are another worker's", n)
	}
	if n := count(t, s, "SELECT count(*) FROM deliveries WHERE leased_until IS NULL AND due_at <= now()"); n != 1 {
		t.Errorf("%d deliveries are due, want the one of the worker that ended", n)
	}
	if n := count(t, s, "SELECT count(*) FROM unstarted_sends WHERE worker_id = $1", id); n > 0 {
		t.Errorf("%d claims are left", n)
	}
}

func TestDomainChecksAreTakenOver(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	organization, domain, now := uuid.New(), uuid.New(), time.Now()
	queries := s.Queries()
	if err := queries.OrganizationInsert(t.Context(), db.OrganizationInsertParams{ID: organization, Name: "a", CreatedAt: now}); err != nil {
		t.Fatal(err)
	}
	if _, err := queries.DomainInsert(t.Context(), db.DomainInsertParams{
		ID: domain, OrganizationID: organization, Name: "a.example", MailFromSubdomain: "mail", OwnershipToken: "token", Now: now,
	}); err != nil {
		t.Fatal(err)
	}
	if err := queries.DomainCheckUpsert(t.Context(), db.DomainCheckUpsertParams{DomainID: domain, OrganizationID: organization, DueAt: now}); err != nil {
		t.Fatal(err)
	}
	dead := join(t, s)
	id := dead.id(t)
	claimed, err := queries.DomainCheckClaim(t.Context(), db.DomainCheckClaimParams{Now: now, LeasedUntil: lease(), PerLane: 1, MaxRows: 1, WorkerID: &id})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %d: %v", len(claimed), err)
	}
	dead.stop()
	join(t, s)
	eventually(t, "the check is due again", func() bool {
		return count(t, s, "SELECT count(*) FROM domain_checks WHERE leased_until IS NULL AND due_at <= now()") == 1
	})
}

// TestASessionThatComesBackChangesNothing: a connection that breaks is not a death.
func TestASessionThatComesBackChangesNothing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	m := join(t, s)
	id := m.id(t)
	until := lease()
	ids := claim(t, s, id, until, 1)
	cut(t, s)
	eventually(t, "the loss is noticed", func() bool {
		cut(t, s)
		_, ready := m.Worker()
		return !ready
	})
	if back := m.id(t); back != id {
		t.Errorf("it came back as %s, was %s", back, id)
	}
	if n := count(t, s, isDue, ids); n > 0 {
		t.Error("what it claimed was taken over")
	}
	if err := m.Start(t.Context(), id, until); err != nil {
		t.Errorf("what it claimed cannot be started: %v", err)
	}
	if err := m.Start(t.Context(), id, until); !errors.Is(err, takeover.ErrLost) {
		t.Errorf("what it started can be started again: %v", err)
	}
}

// cut ends the sessions that hold locks of workers.
func cut(t *testing.T, s *store.Store) {
	t.Helper()
	exec(t, s, `SELECT pg_terminate_backend(pid) FROM pg_locks
		WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
}

// TestAWorkerThatWasTakenOverStartsNothing: it lives, and Postgres saw its session end.
func TestAWorkerThatWasTakenOverStartsNothing(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	m := join(t, s)
	id := m.id(t)
	until := lease()
	claim(t, s, id, until, 1)
	// As another worker does that finds the lock free; while it is, the session cannot come back.
	exec(t, s, "DELETE FROM workers WHERE id = $1", id)
	eventually(t, "it comes back as another", func() bool { return m.id(t) != id })
	if err := m.Start(t.Context(), id, until); !errors.Is(err, takeover.ErrLost) {
		t.Errorf("it starts what was taken over: %v", err)
	}
}

func TestWithoutASessionOnlyTimeEndsLeases(t *testing.T) {
	t.Parallel()
	m := takeover.New(takeover.Config{})
	if id, ready := m.Worker(); id != nil || !ready {
		t.Errorf("a session that is not run: %v, %v", id, ready)
	}
}
