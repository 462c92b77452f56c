package worker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/worker"
)

func (h *house) scheduleCheck(t testing.TB, o tenant) {
	t.Helper()
	must(t, h.store.Queries().DomainCheckUpsert(t.Context(), db.DomainCheckUpsertParams{
		DomainID: o.domainID, OrganizationID: o.id, DueAt: h.clock.Now(),
	}))
}

// checkRow is the due row of a domain.
func (h *house) checkRow(t testing.TB, o tenant) (dueAt time.Time, attempt int, leased bool) {
	t.Helper()
	err := h.store.Pool().QueryRow(t.Context(),
		"SELECT due_at, attempt, leased_until IS NOT NULL FROM domain_checks WHERE domain_id = $1", o.domainID).Scan(&dueAt, &attempt, &leased)
	must(t, err)
	return dueAt, attempt, leased
}

func TestDomainsAreCheckedWhenDue(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.scheduleCheck(t, o)
	h.pass(t, 1)
	dueAt, attempt, leased := h.checkRow(t, o)
	if !dueAt.Equal(h.domains.next) || attempt != 0 || leased {
		t.Errorf("the next check is due at %s, attempt %d, leased %t", dueAt, attempt, leased)
	}
	h.pass(t, 0)
	h.clock.advance(time.Hour)
	h.pass(t, 1)
	if len(h.domains.checked) != 2 {
		t.Errorf("checked %d times, want 2", len(h.domains.checked))
	}
}

func TestFailedChecksBackOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.scheduleCheck(t, o)
	h.domains.err = errors.New("no resolver")
	for _, wait := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second} {
		h.pass(t, 1)
		dueAt, _, leased := h.checkRow(t, o)
		if dueAt.Sub(h.clock.Now()) != wait || leased {
			t.Fatalf("it waits %s, want %s", dueAt.Sub(h.clock.Now()), wait)
		}
		h.clock.advance(wait)
	}
	h.domains.err = nil
	h.pass(t, 1)
	if _, attempt, _ := h.checkRow(t, o); attempt != 0 {
		t.Errorf("a success leaves %d attempts", attempt)
	}
}

func TestACheckThatWasAskedForMeanwhileStaysDue(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	h.scheduleCheck(t, o)
	now := h.clock.Now()
	claimed, err := h.store.Queries().DomainCheckClaim(t.Context(), db.DomainCheckClaimParams{
		Now: now, LeasedUntil: now.Add(time.Minute), PerLane: 1, MaxRows: 1,
	})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %d: %v", len(claimed), err)
	}
	h.scheduleCheck(t, o)
	settled, err := h.store.Queries().DomainCheckSettle(t.Context(), db.DomainCheckSettleParams{
		DomainID: o.domainID, DueAt: now.Add(time.Hour), LeasedUntil: now.Add(time.Minute),
	})
	if err != nil || settled != 0 {
		t.Fatalf("settled %d: %v", settled, err)
	}
	h.pass(t, 1)
}

func TestChoresRunAtTheStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.clock.advance(200 * 24 * time.Hour)
	start(t, h.worker)
	month := h.clock.Now().UTC().AddDate(0, 0, 0).Format("2006_01")
	eventually(t, "there is a partition for this month", func() bool {
		return h.count(t, "SELECT count(*) FROM pg_class WHERE relname = 'emails_' || $1", month) == 1
	})
	eventually(t, "identities are swept", func() bool {
		h.domains.mu.Lock()
		defer h.domains.mu.Unlock()
		return h.domains.swept == 1
	})
}

func TestRetentionDropsBodiesFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	partitions := func(table string) int {
		return h.count(t, "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::text::regclass", table)
	}
	month := func(years, months, days int) { h.clock.now = h.clock.now.AddDate(years, months, days) }
	month(0, 7, 0) // all partitions ended more than two months ago
	must(t, h.worker.Retention.DropPartitions(t.Context()))
	for table, want := range map[string]int{"contents": 0, "emails": 5, "recipients": 5, "events": 5} {
		if got := partitions(table); got != want {
			t.Errorf("%d partitions of %s are left, want %d", got, table, want)
		}
	}
	month(0, 14, 0)
	must(t, h.worker.Retention.DropPartitions(t.Context()))
	if left := partitions("emails") + partitions("recipients") + partitions("events"); left != 0 {
		t.Errorf("%d partitions are left", left)
	}
}

func TestRetentionIsConfigurable(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.worker = h.newWorker(t, func(c *worker.Config) { c.ContentRetention = 1000 * 24 * time.Hour })
	h.clock.advance(300 * 24 * time.Hour)
	must(t, h.worker.Retention.DropPartitions(t.Context()))
	if n := h.count(t, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'contents'::regclass"); n != 5 {
		t.Errorf("%d partitions are left, want all 5", n)
	}
}

func TestAFailedChoreIsTriedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.domains.err = errors.New("SES is away")
	start(t, h.worker)
	eventually(t, "the failure is logged with the next try", func() bool {
		log := h.log.String()
		return strings.Contains(log, "sweep identities") && strings.Contains(log, "retry_in=30s")
	})
}

func TestNewWantsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := worker.New(worker.Config{}); err == nil {
		t.Error("a worker without anything is made")
	}
}
