package worker_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestNoTableIsReadWhole: Postgres keeps the plans that it made for the first messages of a database, or of a month, until it
// analyzes the tables. They have to be as good for the message after twenty thousand others.
func TestNoTableIsReadWhole(t *testing.T) {
	t.Parallel()
	const others = 20_000
	url := storetest.URL(t)
	h := newHouseOn(t, storetest.Open(t, url))
	h.exec(t, `DO $$ DECLARE one regclass; BEGIN
		FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
			EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', one);
		END LOOP; END $$`)
	h.withEndpoints(t)
	o, other := h.tenant(t), h.tenant(t)
	h.subscribe(t, o, "https://a.example", "email.sent", "email.delivered")
	work := func() {
		for {
			claimed, err := h.worker.RunOnce(t.Context())
			must(t, err)
			if claimed == 0 {
				return
			}
		}
	}
	live := func() {
		id := h.accept(t, o, 1)[0]
		work()
		h.notify(t, deliveryEvent(id, firstRecipient))
		work()
		if events := h.events(t, o, id); len(events) != 2 {
			t.Fatalf("the message has %d events", len(events))
		}
	}
	// A statement gets its lasting plan with its sixth use on a connection.
	for range 8 {
		live()
	}
	h.accept(t, other, others)
	h.exec(t, "UPDATE sends SET due_at = due_at + interval '1 day' WHERE organization_id = $1", other.id)
	h.exec(t, `INSERT INTO notifications (message_id, received_at) SELECT gen_random_uuid(), $1 FROM generate_series(1, $2::integer)`,
		h.clock.Now(), others)
	for range 3 {
		live()
	}
	h.store.Close()
	if whole := readWhole(t, url, others); len(whole) > 0 {
		t.Errorf("read whole: %v", whole)
	}
}

// readWhole returns the tables of which so many rows were read without an index, once all connections have counted what they read.
func readWhole(t *testing.T, url string, rows int) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer func() { must(t, conn.Close(t.Context())) }()
	eventually(t, "the connections have ended", func() bool {
		var left int
		must(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&left))
		return left == 0
	})
	found, err := conn.Query(t.Context(), "SELECT relname FROM pg_stat_user_tables WHERE seq_tup_read >= $1 ORDER BY 1", rows)
	must(t, err)
	names, err := pgx.CollectRows(found, pgx.RowTo[string])
	must(t, err)
	return slices.Compact(names)
}
