package store_test

import (
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestDueLook: due rows are counted, up to the limit, with the age of the oldest. Leased and postponed rows, and the
// deliveries of a disabled or paused webhook, are not due.
func TestDueLook(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	look := func(total int32) map[string]db.QueueDepthRow {
		t.Helper()
		rows, err := s.Queries().QueueDepth(t.Context(), db.QueueDepthParams{Now: now, MaxRows: total})
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]db.QueueDepthRow{}
		for _, row := range rows {
			found[row.Kind] = row
		}
		return found
	}
	if nothing := look(10); len(nothing) != 4 || nothing["sends"].Rows != 0 || !nothing["sends"].Oldest.Equal(now) {
		t.Errorf("with nothing due: %+v", nothing)
	}
	for _, statement := range []string{
		`INSERT INTO sends (email_id, organization_id, due_at)
			SELECT gen_random_uuid(), uuid_floor($1::timestamptz + make_interval(secs => n % 3)), $1::timestamptz - make_interval(secs => n) FROM generate_series(1, 7) n`,
		`INSERT INTO sends (email_id, organization_id, due_at, leased_until)
			SELECT gen_random_uuid(), gen_random_uuid(), $1::timestamptz + interval '1 minute', $1::timestamptz + interval '1 minute' FROM generate_series(1, 5)`,
		`INSERT INTO organizations (id, name, free_monthly_allowance, price_per_1k_cents, created_at)
			VALUES (uuid_floor($1::timestamptz), 'Acme', 0, 0, $1::timestamptz)`,
		`INSERT INTO webhooks (id, organization_id, url, events, enabled, sealed_secret, paused_until, created_at, updated_at)
			SELECT uuid_floor($1::timestamptz + make_interval(secs => n)), uuid_floor($1::timestamptz), 'https://example.com', '{}', n <> 2, '',
				CASE WHEN n = 3 THEN $1::timestamptz + interval '1 hour' END, $1::timestamptz, $1::timestamptz FROM generate_series(1, 3) n`,
		`INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
			SELECT gen_random_uuid(), uuid_floor($1::timestamptz), uuid_floor($1::timestamptz + make_interval(secs => n)), gen_random_uuid(), 'x', '{}',
				$1::timestamptz - make_interval(secs => n), $1::timestamptz FROM generate_series(1, 3) n`,
		`INSERT INTO notifications (message_id, body, received_at, due_at) VALUES ('old', '', $1::timestamptz, $1::timestamptz - interval '9 s'),
			('later', '', $1::timestamptz, $1::timestamptz + interval '9 s'), ('done', NULL, $1::timestamptz, NULL)`,
	} {
		if _, err := s.Pool().Exec(t.Context(), statement, now); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, want := range []struct {
		total int32
		kind  string
		rows  int64
		age   time.Duration
	}{
		{100, "sends", 7, 7 * time.Second},
		{4, "sends", 4, 7 * time.Second},
		{100, "deliveries", 1, time.Second},
		{100, "notifications", 1, 9 * time.Second},
		{100, "domain_checks", 0, 0},
	} {
		if found := look(want.total)[want.kind]; found.Rows != want.rows || now.Sub(found.Oldest) != want.age {
			t.Errorf("%d of %s: %d since %s; want %+v", want.total, want.kind, found.Rows, now.Sub(found.Oldest), want)
		}
	}
}
