package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestConstraintsExist: every name belongs to a unique constraint or index, which a statement can violate.
func TestConstraintsExist(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for _, name := range []string{
		store.ConstraintOrganizationsName, store.ConstraintAPIKeysPrefix, store.ConstraintAPIKeysName, store.ConstraintDomainsName, store.ConstraintTemplatesName,
		store.ConstraintSuppressionsKey, store.ConstraintEmailsKey, store.ConstraintEventsKey, store.ConstraintSendsKey, store.ConstraintUsagePeriodsKey,
	} {
		var found int
		err := s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_indexes
			JOIN pg_class ON relname = indexname JOIN pg_index ON indexrelid = pg_class.oid
			WHERE indexname = $1 AND indisunique`, name).Scan(&found)
		if err != nil || found != 1 {
			t.Errorf("%s: found %d times, error %v", name, found, err)
		}
	}
}

func TestConstraint(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for range 2 {
		err := insert(t.Context(), s.Queries(), "same")
		if err != nil && store.Constraint(fmt.Errorf("inserting: %w", err)) != store.ConstraintOrganizationsName {
			t.Errorf("got %q for %v", store.Constraint(err), err)
		}
	}
	// A partition names its copy of a constraint after itself.
	event := `INSERT INTO events (email_id, fact_key, id, organization_id, type, occurred_at)
		VALUES (uuid_floor(now()), 'k', gen_random_uuid(), gen_random_uuid(), 'x', now())`
	_, err := s.Pool().Exec(t.Context(), "BEGIN; "+event+"; "+event)
	if got := store.Constraint(err); got != store.ConstraintEventsKey {
		t.Errorf("got %q for %v", got, err)
	}
	for _, err := range []error{nil, io.EOF, &pgconn.PgError{Code: "42P01", ConstraintName: "x"}} {
		if got := store.Constraint(err); got != "" {
			t.Errorf("got %q for %v", got, err)
		}
	}
}

func TestIsNoRows(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	_, err := s.Queries().OrganizationGetByName(t.Context(), "nobody")
	if !store.IsNoRows(err) {
		t.Errorf("got %v", err)
	}
	if store.IsNoRows(nil) || store.IsNoRows(io.EOF) || store.IsUnavailable(err) {
		t.Error("errors are mixed up")
	}
}

func TestIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("a bug"), false},
		{pgx.ErrNoRows, false},
		{context.Canceled, false},
		{fmt.Errorf("acquiring: %w", context.DeadlineExceeded), true},
		{io.ErrUnexpectedEOF, true},
		{&pgconn.ConnectError{}, true},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: "57P03"}, true},
		{&pgconn.PgError{Code: "57014"}, true},
		{&pgconn.PgError{Code: "53300"}, true},
		{&pgconn.PgError{Code: "53100"}, true},
		{&pgconn.PgError{Code: "08006"}, true},
		{&pgconn.PgError{Code: "23505"}, false},
		{&pgconn.PgError{Code: "42P01"}, false},
		{&pgconn.PgError{Code: "22P02"}, false},
	} {
		if got := store.IsUnavailable(test.err); got != test.want {
			t.Errorf("%v: %v", test.err, got)
		}
	}
}

func TestIsUnavailableWithoutAServer(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t, "postgres://someone:hidden-word@127.0.0.1:1/none?sslmode=disable")
	_, err := s.Queries().OrganizationList(t.Context())
	if !store.IsUnavailable(err) {
		t.Errorf("a query: %v", err)
	}
	if err := s.Tx(t.Context(), func(*db.Queries) error { return nil }); !store.IsUnavailable(err) {
		t.Errorf("a transaction: %v", err)
	}
	if err := s.Ping(t.Context()); !store.IsUnavailable(err) {
		t.Errorf("a ping: %v", err)
	}
	if _, _, err := s.SchemaVersion(t.Context()); !store.IsUnavailable(err) {
		t.Errorf("the version: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(ctx); err == nil || store.IsUnavailable(err) {
		t.Errorf("a caller who gave up: %v", err)
	}
}

func TestIsUnavailableWhenThePoolIsUsedUp(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for range s.Pool().Config().MaxConns {
		conn, err := s.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Ping(ctx); !store.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
}

func TestIsUnavailableAfterClose(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	s.Close()
	if err := s.Ping(t.Context()); !store.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
}
