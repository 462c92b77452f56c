package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
)

// TxPipelined is Tx with as few round trips as there are statements that return rows: statements that return none are
// kept, and sent together with the next that does, or with the commit. An error of theirs is that of the statement
// they were sent with, so do must not read anything into it; and do must use no statement that counts the rows it
// touched. It makes a transaction of one message about as fast as a stored procedure, without one.
func (s *Store) TxPipelined(ctx context.Context, do func(tx *db.Queries) error) error {
	revived := false
	for attempt := 1; ; attempt++ {
		run := &pipeline{}
		err := s.runTxPipelined(ctx, run, do)
		switch {
		case err == nil:
			return nil
		case !revived && ctx.Err() == nil && run.conn != nil && !run.committing && connectionDied(err):
			// A connection of the pool turned out dead: nothing has been stored through it.
			revived = true
			continue
		case attempt >= maxAttempts || !isSerializationFailure(err):
			return err
		}
		if backoff.Sleep(ctx, time.Duration(attempt)*5*time.Millisecond) != nil {
			return err
		}
	}
}

func connectionDied(err error) bool { return IsUnavailable(err) && sqlState(err) == "" }

func (s *Store) runTxPipelined(ctx context.Context, run *pipeline, do func(tx *db.Queries) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer conn.Release()
	run.conn = conn
	run.batch.Queue("begin")
	if err := do(db.New(run)); err != nil {
		run.rollback(ctx)
		return err
	}
	if err := run.commit(ctx); err != nil {
		run.rollback(ctx)
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// pipeline is a transaction whose statements are sent as late as can be.
type pipeline struct {
	conn       *pgxpool.Conn
	batch      pgx.Batch
	committing bool
}

var _ db.DBTX = (*pipeline)(nil)

// Exec keeps the statement for later.
func (p *pipeline) Exec(_ context.Context, sql string, arguments ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, arguments...)
	return pgconn.CommandTag{}, nil
}

// Query sends what was kept, and the statement.
func (p *pipeline) Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error) {
	p.batch.Queue(sql, arguments...)
	results, err := p.send(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		_ = results.Close() // repeats the error
		return nil, err
	}
	return &lastRows{Rows: rows, results: results}, nil
}

// QueryRow is Query for the first row.
func (p *pipeline) QueryRow(ctx context.Context, sql string, arguments ...any) pgx.Row {
	rows, err := p.Query(ctx, sql, arguments...)
	return firstRow{rows, err}
}

// commit sends what was kept, and the commit.
func (p *pipeline) commit(ctx context.Context) error {
	p.committing = true
	p.batch.Queue("commit")
	results, err := p.send(ctx)
	if err != nil {
		return err
	}
	tag, err := results.Exec()
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if tag.String() != "COMMIT" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

// send sends all that is kept and reads the results of all but the last.
func (p *pipeline) send(ctx context.Context) (pgx.BatchResults, error) {
	sent := p.batch
	p.batch = pgx.Batch{}
	results := p.conn.SendBatch(ctx, &sent)
	for range sent.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // repeats the error
			return nil, err
		}
	}
	return results, nil
}

// rollback leaves the connection fit for others; the pool closes one that it cannot be said of.
func (p *pipeline) rollback(ctx context.Context) {
	conn := p.conn.Conn().PgConn()
	if conn.IsClosed() || conn.TxStatus() == 'I' {
		return
	}
	finish, cancel := detach(ctx)
	defer cancel()
	_, _ = p.conn.Exec(finish, "rollback")
}

// lastRows are the rows of the last statement that was sent; the connection is free once they are closed.
type lastRows struct {
	pgx.Rows
	results pgx.BatchResults
}

func (r *lastRows) Close() {
	r.Rows.Close()
	// What went wrong is told by Err, or by whatever the connection is used for next.
	_ = r.results.Close()
}

func (r *lastRows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.results.Close()
}

type firstRow struct {
	rows pgx.Rows
	err  error
}

func (r firstRow) Scan(into ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(into...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
