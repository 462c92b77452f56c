package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func partitions(t *testing.T, s *store.Store, table string) []string {
	t.Helper()
	var names []string
	err := s.Pool().QueryRow(t.Context(), `SELECT array_agg(child.relname::text ORDER BY child.relname)
		FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid WHERE inhparent = $1::text::regclass`, table).Scan(&names)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestEnsurePartitions(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	before := partitions(t, s, "recipients")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := s.EnsurePartitions(t.Context(), time.Date(2031, 1, 31, 23, 59, 59, 0, time.UTC)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want := []string{
		"recipients_2030_12", "recipients_2031_01", "recipients_2031_02", "recipients_2031_03", "recipients_2031_04",
		"recipients_2031_05", "recipients_2031_06", "recipients_2031_07",
	}
	if got := partitions(t, s, "recipients"); !slices.Equal(got, append(before, want...)) {
		t.Errorf("got %v", got)
	}
}

func TestDropPartitions(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	recent := partitions(t, s, "contents")
	if err := s.EnsurePartitions(t.Context(), time.Date(2020, 2, 10, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	emails := partitions(t, s, "emails")
	boundary := time.Date(2020, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		olderThan time.Time
		want      []string
	}{
		{boundary.Add(-time.Nanosecond), []string{"contents_2020_01", "contents_2020_02"}},
		{boundary, []string{"contents_2020_03"}},
		{boundary, nil},
	} {
		got, err := s.DropPartitions(t.Context(), "contents", step.olderThan)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, step.want) {
			t.Errorf("until %v: dropped %v, want %v", step.olderThan, got, step.want)
		}
	}
	if got := partitions(t, s, "contents"); !slices.Equal(got, append([]string{
		"contents_2020_04", "contents_2020_05", "contents_2020_06", "contents_2020_07", "contents_2020_08",
	}, recent...)) {
		t.Errorf("left are %v", got)
	}
	if got := partitions(t, s, "emails"); !slices.Equal(got, emails) {
		t.Errorf("another table was changed: %v", got)
	}
}

func TestDropPartitionsOnlyOfPartitionedTables(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for _, table := range []string{"organizations", "sends", "", `emails"; DROP TABLE sends; --`} {
		if _, err := s.DropPartitions(t.Context(), table, time.Now()); err == nil {
			t.Errorf("%q was accepted", table)
		}
	}
}

func TestDropPartitionsDoesNotWaitLongForALock(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	if err := s.EnsurePartitions(t.Context(), time.Date(2020, 2, 10, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	reader, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT FROM emails"); err != nil {
		t.Fatal(err)
	}
	_, err = s.DropPartitions(t.Context(), "emails", time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))
	if !store.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// While a SELECT is open, in a backup for hours, partitions are made, and no statement waits for it.
func TestPartitionsAreMadeBehindAnOpenReader(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	reader, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"emails", "recipients", "contents", "events", "email_tags"} {
		if _, err := reader.Exec(t.Context(), "SELECT FROM "+table); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.EnsurePartitions(t.Context(), time.Date(2031, 1, 31, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if got := partitions(t, s, "events"); !slices.Contains(got, "events_2031_07") {
		t.Errorf("got %v", got)
	}
	if _, err := s.Pool().Exec(t.Context(), "DELETE FROM emails"); err != nil {
		t.Errorf("a write beside the reader: %v", err)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	// They have what their siblings have.
	var kinds int
	if err := s.Pool().QueryRow(t.Context(), `SELECT count(DISTINCT indexes) FROM (
		SELECT i.indrelid, count(*) AS indexes FROM pg_inherits JOIN pg_index i ON i.indrelid = inhrelid
		WHERE inhparent = 'emails'::regclass GROUP BY i.indrelid) AS each`).Scan(&kinds); err != nil || kinds != 1 {
		t.Errorf("partitions of emails have %d numbers of indexes: %v", kinds, err)
	}
}

// What a reader kept from being dropped is dropped the next time, and a table with a strange name keeps nothing else.
func TestDropPartitionsGoesOn(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	if err := s.EnsurePartitions(t.Context(), time.Date(2020, 2, 10, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(t.Context(), `CREATE TABLE emails_a_strange_one PARTITION OF emails
		FOR VALUES FROM ('00000000-0000-0000-0000-000000000000') TO ('00000000-0000-0000-0000-000000000001')`); err != nil {
		t.Fatal(err)
	}
	reader, err := s.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.Exec(t.Context(), "SELECT FROM emails"); err != nil {
		t.Fatal(err)
	}
	until := time.Date(2020, 3, 1, 0, 0, 0, 0, time.UTC)
	if dropped, err := s.DropPartitions(t.Context(), "emails", until); !store.IsUnavailable(err) || len(dropped) > 0 {
		t.Errorf("beside a reader: %v, %v", dropped, err)
	}
	if _, err := s.Pool().Exec(t.Context(), "DELETE FROM emails"); err != nil {
		t.Errorf("a write beside the reader: %v", err)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	dropped, err := s.DropPartitions(t.Context(), "emails", until)
	if err == nil || !slices.Equal(dropped, []string{"emails_2020_01", "emails_2020_02"}) {
		t.Errorf("afterwards: %v, %v", dropped, err)
	}
}

func TestMonthsAheadAreCountedWithoutGaps(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	now := time.Date(2031, 1, 31, 0, 0, 0, 0, time.UTC)
	ahead := func(want int) {
		t.Helper()
		if got, err := s.MonthsAhead(t.Context(), now); err != nil || got != want {
			t.Errorf("%d months ahead, want %d: %v", got, want, err)
		}
	}
	ahead(0)
	if err := s.EnsurePartitions(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	ahead(6)
	if _, err := s.Pool().Exec(t.Context(), "DROP TABLE events_2031_04"); err != nil {
		t.Fatal(err)
	}
	ahead(2)
}
