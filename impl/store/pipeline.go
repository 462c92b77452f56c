package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
)

// endWhenIdle ends the transaction of a process that stands still between two statements, suspended or on a machine that
// is: these transactions hold rows for which the other processes wait, and never wait for anything but Postgres themselves.
const endWhenIdle = "set local idle_in_transaction_session_timeout = '3s'"

// notifyColumn is the name of the first column of a statement that returns what to notify of after the commit: a channel, a
// lane, and when its first row is due.
const notifyColumn = "notify_after_commit"

// TxPipelined is Tx with one round trip per statement that returns rows. Statements that return none are queued, and
// sent together with the next statement that does, or with the commit. The error of a queued statement is returned by
// the statement it was sent with, so do must not attribute an error to a statement; nor may do use a statement that
// counts the rows it touched. It makes a transaction of one message about as fast as a stored procedure.
//
// A queued statement whose first column is notify_after_commit names channels, lanes and due times for [Store.NotifyLanes].
func (s *Store) TxPipelined(ctx context.Context, do func(tx *db.Queries) error) error {
	revived := false
	for attempt := 1; ; attempt++ {
		run := &pipeline{}
		err := s.runTxPipelined(ctx, run, do)
		switch {
		case err == nil:
			for _, one := range run.notify {
				s.NotifyLanes(one.channel, one.dueAt, one.lane)
			}
			return nil
		case !revived && ctx.Err() == nil && run.conn != nil && !run.committing && connectionDied(err):
			// The pooled connection was dead: nothing has been stored through it.
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
	run.batch.Queue(endWhenIdle)
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

// pipeline is a transaction that sends its statements as late as possible.
type pipeline struct {
	conn       *pgxpool.Conn
	batch      pgx.Batch
	committing bool
	notify     []dueLane
}

// dueLane is a lane to notify of.
type dueLane struct {
	channel string
	lane    uuid.UUID
	dueAt   time.Time
}

var _ db.DBTX = (*pipeline)(nil)

// Exec queues the statement.
func (p *pipeline) Exec(_ context.Context, sql string, arguments ...any) (pgconn.CommandTag, error) {
	p.batch.Queue(sql, arguments...)
	return pgconn.CommandTag{}, nil
}

// Query sends the queued statements and this one.
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

// commit sends the queued statements and the commit.
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

// send sends the queued statements and reads the results of all but the last.
func (p *pipeline) send(ctx context.Context) (pgx.BatchResults, error) {
	sent := p.batch
	p.batch = pgx.Batch{}
	results := p.conn.SendBatch(ctx, &sent)
	for range sent.Len() - 1 {
		if err := p.readQueued(results); err != nil {
			_ = results.Close() // repeats the error
			return nil, err
		}
	}
	return results, nil
}

// readQueued reads the result of a queued statement.
func (p *pipeline) readQueued(results pgx.BatchResults) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	columns := rows.FieldDescriptions()
	if len(columns) > 0 && columns[0].Name == notifyColumn {
		for rows.Next() {
			var one dueLane
			if err := rows.Scan(&one.channel, &one.lane, &one.dueAt); err != nil {
				return err
			}
			p.notify = append(p.notify, one)
		}
	}
	rows.Close()
	return rows.Err()
}

// rollback makes the connection reusable. If it fails, the pool closes the connection.
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
	// Err reports the error, or the next use of the connection does.
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
