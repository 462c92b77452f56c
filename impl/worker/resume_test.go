package worker_test

import (
	"testing"

	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// Resuming an organization beside a snapshot walks each message that waited once, and not all that were made due before it.
// A message that another transaction holds is passed by.
func TestResumingWalksWhatWaitedOnce(t *testing.T) {
	t.Parallel()
	const waiting = 20_000
	url := storetest.URL(t)
	h := newHouseOn(t, storetest.Open(t, url))
	o := h.tenant(t)
	held := h.accept(t, o, 1)[0]
	h.exec(t, "UPDATE sends SET due_at = $1::timestamptz + interval '30 s'", h.clock.Now())
	h.exec(t, `INSERT INTO sends (email_id, organization_id, due_at, body_bytes)
		SELECT gen_random_uuid(), $1, $2::timestamptz + n * interval '10 ms', 100 FROM generate_series(1, $3::integer) AS n`,
		o.id, h.clock.Now(), waiting)
	holdSnapshot(t, url)
	other, err := h.store.Pool().Begin(t.Context())
	must(t, err)
	_, err = other.Exec(t.Context(), "SELECT FROM sends WHERE email_id = $1 FOR UPDATE", held)
	must(t, err)
	visits := func() int {
		return h.count(t, "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'sends_lane_idx'")
	}
	before := visits()

	counted, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 2, Name: "counted"})
	must(t, err)
	t.Cleanup(counted.Close)
	must(t, organization.Organizations{Store: counted, Now: h.clock.Now}.Resume(t.Context(), o.id))
	must(t, other.Rollback(t.Context()))
	counted.Close()
	eventually(t, "the sessions have ended", func() bool {
		return h.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'counted'") == 0
	})
	if due := h.count(t, "SELECT count(*) FROM sends WHERE due_at = $1", h.clock.Now()); due != waiting {
		t.Errorf("%d of %d messages are due", due, waiting)
	}
	if visited := visits() - before; visited > 3*waiting {
		t.Errorf("%d entries of the index were visited for %d messages", visited, waiting)
	}
}
