package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestRecipientsAreUpdatedInPlace: a group of recipients gets its outcome without an entry in any index, because the pages
// have room for a version of each (HOT updates).
func TestRecipientsAreUpdatedInPlace(t *testing.T) {
	t.Parallel()
	const messages, accepted, settled, rounds = 500, 31, 50, 100
	s := storetest.New(t)
	organization := uuid.New()
	ids := make([]uuid.UUID, messages)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	for group := range slices.Chunk(ids, accepted) {
		n := len(group)
		if err := s.Queries().RecipientInsert(t.Context(), db.RecipientInsertParams{
			EmailIds: group, Positions: make([]int16, n), OrganizationIds: slices.Repeat([]uuid.UUID{organization}, n),
			Kinds: slices.Repeat([]string{"to"}, n), Names: make([]string, n),
			Addresses:   slices.Repeat([]string{"somebody@customers.example.com"}, n),
			AddressKeys: slices.Repeat([]string{"somebody@customers.example.com"}, n),
		}); err != nil {
			t.Fatal(err)
		}
	}
	if share := markRecipients(t, s, organization, ids, settled); share < 0.8 {
		t.Errorf("%.0f %% of the first updates were in place, want 80 %%", 100*share)
	}
	// The versions that the first update left are removed when no snapshot needs them, which another session may hold.
	share := 0.0
	for round := 0; round < rounds && share < 0.8; round++ {
		share = markRecipients(t, s, organization, ids, messages)
	}
	if share < 0.8 {
		t.Errorf("%.0f %% of the later updates were in place, want 80 %%", 100*share)
	}
}

// markRecipients stores an outcome of recipients in groups, and returns the share of the updates that wrote to no index.
func markRecipients(t *testing.T, s *store.Store, organization uuid.UUID, ids []uuid.UUID, size int) float64 {
	t.Helper()
	var updates, inPlace float64
	for group := range slices.Chunk(ids, size) {
		tx, err := s.Pool().Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// What earlier transactions of the session did may not be reported yet.
		updatesBefore, inPlaceBefore := recipientUpdates(t, tx)
		n := len(group)
		if err := db.New(tx).RecipientSetOutcome(t.Context(), db.RecipientSetOutcomeParams{
			Outcome: 2, EmailIds: group, Positions: make([]int16, n), OrganizationIds: slices.Repeat([]uuid.UUID{organization}, n),
		}); err != nil {
			t.Fatal(err)
		}
		updatesAfter, inPlaceAfter := recipientUpdates(t, tx)
		updates, inPlace = updates+updatesAfter-updatesBefore, inPlace+inPlaceAfter-inPlaceBefore
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if int(updates) != len(ids) {
		t.Fatalf("%.0f of %d recipients were updated", updates, len(ids))
	}
	return inPlace / updates
}

// recipientUpdates returns how many updates of recipients a session has not reported to the statistics.
func recipientUpdates(t *testing.T, tx pgx.Tx) (all, inPlace float64) {
	t.Helper()
	if err := tx.QueryRow(t.Context(), `SELECT sum(n_tup_upd)::float8, sum(n_tup_hot_upd)::float8
		FROM pg_stat_xact_user_tables WHERE starts_with(relname, 'recipients_')`).Scan(&all, &inPlace); err != nil {
		t.Fatal(err)
	}
	return all, inPlace
}

// TestPartitionsOfRecipientsHaveRoom: whatever makes a partition, its pages have the room.
func TestPartitionsOfRecipientsHaveRoom(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	if err := s.EnsurePartitions(t.Context(), time.Date(2031, 1, 31, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(t.Context(), "SELECT ensure_partitions('2041-01-31')"); err != nil {
		t.Fatal(err)
	}
	for _, name := range partitions(t, s, "recipients") {
		var options []string
		if err := s.Pool().QueryRow(t.Context(), "SELECT reloptions FROM pg_class WHERE oid = $1::text::regclass", name).Scan(&options); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(options, "fillfactor=50") {
			t.Errorf("%s has %v", name, options)
		}
	}
}
