package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/schema"
)

// TestMigrateListsOldSuppressions: a suppression of version 8 gets an id with its time, and a reason that the API
// knows.
func TestMigrateListsOldSuppressions(t *testing.T) {
	t.Parallel()
	url := storetest.EmptyURL(t)
	s := storetest.Open(t, url)
	database := stdlib.OpenDBFromPool(s.Pool())
	t.Cleanup(func() {
		if err := database.Close(); err != nil {
			t.Error(err)
		}
	})
	provider, err := goose.NewProvider(goose.DialectPostgres, database, schema.Files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	organization := uuid.New()
	_, err = s.Pool().Exec(t.Context(), `INSERT INTO organizations (id, name, free_monthly_allowance, price_per_1k_cents, created_at)
		VALUES ($1, 'old', 0, 0, now())`, organization)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Pool().Exec(t.Context(), `INSERT INTO suppressions VALUES
		($1, 'a@example.com', 'bounce', '2026-01-01T00:00:00Z'), ($1, 'b@example.com', 'COMPLAINT', '2026-01-01T00:00:00Z'),
		($1, 'c@example.com', 'support asked', '2026-03-01T12:34:56.789Z')`, organization)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Migrate(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{"a@example.com": "Bounce", "b@example.com": "Complaint", "c@example.com": "Manual"} {
		var id uuid.UUID
		var reason string
		var at time.Time
		err := s.Pool().QueryRow(t.Context(), "SELECT id, reason, created_at FROM suppressions WHERE address_key = $1", address).
			Scan(&id, &reason, &at)
		if err != nil {
			t.Fatal(err)
		}
		seconds, nanoseconds := id.Time().UnixTime()
		if reason != want || id.Version() != 7 || id.Variant() != uuid.RFC4122 || !time.Unix(seconds, nanoseconds).Equal(at) {
			t.Errorf("%s became %s, %s at %v", address, id, reason, at)
		}
	}
}
