package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func count(t *testing.T, s *store.Store) int {
	t.Helper()
	organizations, err := s.Queries().OrganizationList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return len(organizations)
}

func insert(ctx context.Context, tx *db.Queries, name string) error {
	return tx.OrganizationInsert(ctx, db.OrganizationInsertParams{ID: uuid.New(), Name: name, CreatedAt: time.Now()})
}

// idle says that no connection of the pool is in use or in a transaction.
func idle(t *testing.T, s *store.Store) {
	t.Helper()
	if used := s.Pool().Stat().AcquiredConns(); used != 0 {
		t.Errorf("%d connections are still in use", used)
	}
	var open int
	err := s.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND state LIKE 'idle in transaction%'`).Scan(&open)
	if err != nil || open != 0 {
		t.Errorf("%d transactions are still open, error %v", open, err)
	}
}

func TestTxCommitsAndRollsBack(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	if err := s.Tx(t.Context(), func(tx *db.Queries) error { return insert(t.Context(), tx, "first") }); err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("no")
	err := s.Tx(t.Context(), func(tx *db.Queries) error {
		return errors.Join(insert(t.Context(), tx, "second"), refusal)
	})
	if !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	if n := count(t, s); n != 1 {
		t.Errorf("%d rows", n)
	}
	idle(t, s)
}

func TestTxRollsBackWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Tx(ctx, func(tx *db.Queries) error {
			defer cancel()
			return insert(ctx, tx, "any")
		})
		if !errors.Is(err, context.Canceled) || store.IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
	}
	if n := count(t, s); n != 0 {
		t.Errorf("%d rows", n)
	}
	idle(t, s)
	if made := s.Pool().Stat().NewConnsCount(); made > 2 {
		t.Errorf("rolling back cost %d connections", made)
	}
}

func TestTxRollsBackOnPanic(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Tx(t.Context(), func(tx *db.Queries) error {
			if err := insert(t.Context(), tx, "first"); err != nil {
				t.Error(err)
			}
			panic("a bug")
		})
	}()
	if n := count(t, s); n != 0 {
		t.Errorf("%d rows", n)
	}
	idle(t, s)
}

func TestTxIsRunAgainAfterADeadlock(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for _, name := range []string{"first", "second"} {
		if err := insert(t.Context(), s.Queries(), name); err != nil {
			t.Fatal(err)
		}
	}
	organizations, err := s.Queries().OrganizationList(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var attempts atomic.Int32
	var both, all sync.WaitGroup
	both.Add(2)
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		all.Go(func() {
			first := true
			err := s.Tx(t.Context(), func(tx *db.Queries) error {
				attempts.Add(1)
				if err := tx.OrganizationLock(t.Context(), organizations[order[0]].ID); err != nil {
					return err
				}
				if first {
					first = false
					both.Done()
					both.Wait()
				}
				return tx.OrganizationLock(t.Context(), organizations[order[1]].ID)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if attempts.Load() < 3 {
		t.Errorf("%d attempts: there was no deadlock", attempts.Load())
	}
	idle(t, s)
}

func TestTxGivesUpAfterSomeAttempts(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for _, test := range []struct {
		failure  error
		attempts int
	}{
		{&pgconn.PgError{Code: "40001"}, 4},
		{&pgconn.PgError{Code: "40P01"}, 4},
		{&pgconn.PgError{Code: "23505"}, 1},
		{pgx.ErrNoRows, 1},
	} {
		attempts := 0
		err := s.Tx(t.Context(), func(*db.Queries) error {
			attempts++
			return fmt.Errorf("trying: %w", test.failure)
		})
		if !errors.Is(err, test.failure) || attempts != test.attempts {
			t.Errorf("%d attempts for %v, then %v", attempts, test.failure, err)
		}
	}
}
