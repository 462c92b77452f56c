package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// maxAttempts bounds the attempts of a transaction that Postgres ends in favor of another.
	maxAttempts = 4
	// finishTimeout bounds commit and rollback, which do not end with the caller's context.
	finishTimeout = 10 * time.Second
)

// Tx runs do in a transaction (READ COMMITTED), which is committed if do returns nil, and rolled back if do returns an
// error or panics, or if ctx ends before the commit.
//
// A transaction that loses a deadlock or fails to serialize is run again from the start, up to four times in all. So do
// must reset the variables it captures, and must wrap the errors of its statements with %w. Once the commit has begun,
// the end of ctx does not stop it. A commit that fails because the connection was lost may have taken effect.
func (s *Store) Tx(ctx context.Context, do func(tx *db.Queries) error) error {
	for attempt := 1; ; attempt++ {
		err := s.runTx(ctx, do)
		if err == nil || attempt == maxAttempts || !isSerializationFailure(err) {
			return err
		}
		if backoff.Sleep(ctx, time.Duration(attempt)*5*time.Millisecond) != nil {
			return err
		}
	}
}

func (s *Store) runTx(ctx context.Context, do func(tx *db.Queries) error) error {
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	// After a commit this does nothing. If the rollback fails, the pool closes the connection, since it is still in a
	// transaction, and Postgres rolls back.
	defer func() {
		finish, cancel := detach(ctx)
		defer cancel()
		_ = tx.Rollback(finish)
	}()
	if err := do(s.queries.WithTx(tx)); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("before the commit: %w", err)
	}
	finish, cancel := detach(ctx)
	defer cancel()
	if err := tx.Commit(finish); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// begin begins a transaction. It tries again, once, if the pooled connection is dead: nothing has been done on it yet.
func (s *Store) begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := s.pool.Begin(ctx)
	var refused *pgconn.ConnectError
	if err != nil && ctx.Err() == nil && IsUnavailable(err) && !errors.As(err, &refused) {
		tx, err = s.pool.Begin(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("beginning a transaction: %w", err)
	}
	return tx, nil
}

// detach returns a context that outlives ctx by a bounded time.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
}

func isSerializationFailure(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01"
}
