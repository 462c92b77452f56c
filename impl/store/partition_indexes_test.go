package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestMigrateBuildsIndexesOfPartitions: an index that a migration created ON ONLY a partitioned table is built on every
// partition while rows are written, also after an attempt that ended in the middle.
func TestMigrateBuildsIndexesOfPartitions(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	s := storetest.Open(t, url)
	exec := func(statement string) {
		t.Helper()
		if _, err := s.Pool().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const insert = "INSERT INTO email_tags (organization_id, tag, email_id) VALUES (gen_random_uuid(), 'a', uuid_floor(now()))"
	exec("CREATE UNIQUE INDEX email_tags_organization_idx ON ONLY email_tags (organization_id, email_id)")

	writer, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := writer.Exec(t.Context(), insert); err != nil {
		t.Fatal(err)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- store.Migrate(interrupted, url, nil) }()
	waitUntil(t, s, "a build that waits for the writer", buildWaits)
	exec(insert)
	interrupt()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("the interrupted migration ended with %v", err)
	}
	waitUntil(t, s, "the end of the build", "NOT "+buildWaits)

	go func() { ended <- store.Migrate(t.Context(), url, nil) }()
	waitUntil(t, s, "a build that waits for the writer", buildWaits)
	exec(insert)
	if err := writer.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	var valid bool
	var indexes, partitions int
	err = s.Pool().QueryRow(t.Context(), `SELECT indisvalid, (SELECT count(*) FROM pg_inherits WHERE inhparent = indexrelid),
		(SELECT count(*) FROM pg_inherits WHERE inhparent = indrelid)
		FROM pg_index WHERE indexrelid = 'email_tags_organization_idx'::regclass`).Scan(&valid, &indexes, &partitions)
	if err != nil || !valid || indexes != partitions || partitions == 0 {
		t.Errorf("valid %v, %d indexes of %d partitions, error %v", valid, indexes, partitions, err)
	}
	const twice = "INSERT INTO email_tags VALUES ('00000000-0000-0000-0000-000000000001', 'a', uuid_floor(now()::date)), " +
		"('00000000-0000-0000-0000-000000000001', 'b', uuid_floor(now()::date))"
	_, err = s.Pool().Exec(t.Context(), twice)
	if name := store.Constraint(err); name != "email_tags_organization_idx" {
		t.Errorf("the index is known as %q (%v)", name, err)
	}
	if err := store.Migrate(t.Context(), url, nil); err != nil {
		t.Errorf("migrating again: %v", err)
	}
}

const buildWaits = `EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
	AND query ~ '^(CREATE UNIQUE|DROP) INDEX CONCURRENTLY' AND state = 'active' AND wait_event_type = 'Lock')`

func waitUntil(t *testing.T, s *store.Store, what, condition string) {
	t.Helper()
	for holds := false; !holds; {
		select {
		case <-t.Context().Done():
			t.Fatalf("no sign of %s", what)
		case <-time.After(5 * time.Millisecond):
		}
		if err := s.Pool().QueryRow(t.Context(), "SELECT "+condition).Scan(&holds); err != nil {
			t.Fatal(err)
		}
	}
}
