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

// idle checks that no connection of the pool is in use or in a transaction.
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

// bothWays runs a test with each of the two ways to make a transaction, on a database of its own.
func bothWays(t *testing.T, run func(t *testing.T, s *store.Store, tx transaction)) {
	t.Helper()
	t.Parallel()
	for name, way := range map[string]func(s *store.Store) transaction{
		"Tx":       func(s *store.Store) transaction { return s.Tx },
		"Pipeline": func(s *store.Store) transaction { return s.TxPipelined },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storetest.New(t)
			run(t, s, way(s))
		})
	}
}

type transaction func(ctx context.Context, do func(tx *db.Queries) error) error

func TestTxCommitsAndRollsBack(t *testing.T) {
	bothWays(t, func(t *testing.T, s *store.Store, tx transaction) {
		if err := tx(t.Context(), func(queries *db.Queries) error { return insert(t.Context(), queries, "first") }); err != nil {
			t.Fatal(err)
		}
		refusal := errors.New("no")
		err := tx(t.Context(), func(queries *db.Queries) error {
			return errors.Join(insert(t.Context(), queries, "second"), refusal)
		})
		if !errors.Is(err, refusal) {
			t.Errorf("got %v", err)
		}
		if n := count(t, s); n != 1 {
			t.Errorf("%d rows", n)
		}
		idle(t, s)
	})
}

func TestTxRollsBackWhenTheContextEnds(t *testing.T) {
	bothWays(t, func(t *testing.T, s *store.Store, tx transaction) {
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			err := tx(ctx, func(queries *db.Queries) error {
				defer cancel()
				return insert(ctx, queries, "any")
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
	})
}

func TestTxRollsBackOnPanic(t *testing.T) {
	bothWays(t, func(t *testing.T, s *store.Store, tx transaction) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = tx(t.Context(), func(queries *db.Queries) error {
				if err := insert(t.Context(), queries, "first"); err != nil {
					t.Error(err)
				}
				panic("a bug")
			})
		}()
		if n := count(t, s); n != 0 {
			t.Errorf("%d rows", n)
		}
		idle(t, s)
	})
}

func TestTxIsRunAgainAfterADeadlock(t *testing.T) {
	bothWays(t, func(t *testing.T, s *store.Store, tx transaction) {
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
				err := tx(t.Context(), func(queries *db.Queries) error {
					attempts.Add(1)
					if err := queries.OrganizationLock(t.Context(), organizations[order[0]].ID); err != nil {
						return err
					}
					if first {
						first = false
						// A pipeline sends the lock with the next statement that returns rows.
						if _, err := queries.OrganizationList(t.Context()); err != nil {
							return err
						}
						both.Done()
						both.Wait()
					}
					return queries.OrganizationLock(t.Context(), organizations[order[1]].ID)
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
	})
}

func TestTxGivesUpAfterSomeAttempts(t *testing.T) {
	bothWays(t, func(t *testing.T, s *store.Store, tx transaction) {
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
			err := tx(t.Context(), func(*db.Queries) error {
				attempts++
				return fmt.Errorf("trying: %w", test.failure)
			})
			if !errors.Is(err, test.failure) || attempts != test.attempts {
				t.Errorf("%d attempts for %v, then %v", attempts, test.failure, err)
			}
		}
	})
}

// TestPipelineTellsOfKeptStatements: a queued statement fails when it is sent, and nothing of its transaction stays.
func TestPipelineTellsOfKeptStatements(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	for name, last := range map[string]func(queries *db.Queries) error{
		"at the commit": func(*db.Queries) error { return nil },
		"with the next that returns rows": func(queries *db.Queries) error {
			_, err := queries.OrganizationList(t.Context())
			return err
		},
		"with the next that returns a row": func(queries *db.Queries) error {
			_, err := queries.APIKeyCountUnrevoked(t.Context(), uuid.New())
			return err
		},
	} {
		kept := false
		err := s.TxPipelined(t.Context(), func(queries *db.Queries) error {
			if err := errors.Join(insert(t.Context(), queries, name), insert(t.Context(), queries, name)); err != nil {
				return err
			}
			kept = true
			return last(queries)
		})
		if !kept || store.Constraint(err) != store.ConstraintOrganizationsName || !store.IsStatementError(err) || store.IsUnavailable(err) {
			t.Errorf("%s: kept %t, then %v", name, kept, err)
		}
	}
	if n := count(t, s); n != 0 {
		t.Errorf("%d rows", n)
	}
	idle(t, s)
}

// TestPipelineReadsWhatItWrote: queued statements are sent before anything is read.
func TestPipelineReadsWhatItWrote(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	err := s.TxPipelined(t.Context(), func(queries *db.Queries) error {
		for _, name := range []string{"first", "second"} {
			if err := insert(t.Context(), queries, name); err != nil {
				return err
			}
		}
		found, err := queries.OrganizationList(t.Context())
		if err == nil && len(found) != 2 {
			return fmt.Errorf("%d rows", len(found))
		}
		_, missing := queries.OrganizationGetByName(t.Context(), "third")
		if !store.IsNoRows(missing) {
			return fmt.Errorf("a row that is not there: %w", missing)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 2 {
		t.Errorf("%d rows", n)
	}
	idle(t, s)
}

// A process that stands still in a transaction, as a suspended one does, does not keep others from its rows for as long as
// they wait for a lock.
func TestPipelineThatStandsStillLosesItsLocks(t *testing.T) {
	t.Parallel()
	errStop := errors.New("stop")
	s := storetest.New(t)
	err := s.TxPipelined(t.Context(), func(queries *db.Queries) error {
		if err := insert(t.Context(), queries, "acme"); err != nil {
			return err
		}
		if _, err := queries.OrganizationList(t.Context()); err != nil {
			return err
		}
		if err := insert(t.Context(), s.Queries(), "acme"); err != nil {
			t.Errorf("another process: %v", err)
		}
		if _, err := queries.OrganizationList(t.Context()); !store.IsUnavailable(err) {
			t.Errorf("after the transaction ended: %v", err)
		}
		return errStop
	})
	if !errors.Is(err, errStop) {
		t.Errorf("got %v", err)
	}
	if n := count(t, s); n != 1 {
		t.Errorf("%d rows", n)
	}
}
