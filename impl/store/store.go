// Package store is the only package that knows Postgres: it runs the statements of gen/db, which are generated from
// queries/.
//
//   - store.go: the pool of connections and its limits
//   - tx.go: transactions; pipeline.go: transactions in fewer round trips
//   - listen.go, notify.go: notifications
//   - session.go: connections outside the pool
//   - clock.go: the clock of Postgres, which all processes read
//   - migrate.go: the schema and its version
//   - partitions.go: monthly partitions, for retention; partition_indexes.go: indexes on them, built while they are used
//   - observe.go: what metrics need: the pool, connections for notifications, the oldest partitions
//   - errors.go: what a failure means: unavailable, a constraint, no row
//
// It needs sessions of its own: a connection pooler in front of Postgres must pool by session, since notifications,
// advisory locks and prepared statements do not survive pooling by transaction.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	pgxuuid "github.com/vgarvardt/pgx-google-uuid/v5"

	"github.com/voostack/mailstack/gen/db"
)

const (
	connectTimeout = 5 * time.Second
	pingTimeout    = 5 * time.Second
	maxLifetime    = time.Hour
	// pingAfterIdle is how long a connection may be idle before it is pinged before use.
	pingAfterIdle = time.Second
	// pingAllAfterLoss: every connection last used earlier than this after the loss of another is pinged before use. A
	// Postgres that stops does not cut all connections at the same moment.
	pingAllAfterLoss = 2 * time.Second
)

// Config configures a store.
type Config struct {
	// URL is the URL of the database, as libpq reads it. Its settings take precedence over our defaults.
	URL string
	// MaxConns is the size of the pool. Zero means the size in the URL or, without one, a size by the number of CPUs.
	MaxConns int32
	// Name is shown by Postgres beside each connection (application_name).
	Name string
	// Clock is measured by every connection before it is used. Nil means that none is.
	Clock *Clock
	// Log gets a warning when the connection for notifications is lost. Nil discards.
	Log *slog.Logger
}

// Store is a database. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	queries *db.Queries
	conn    *pgx.ConnConfig
	log     *slog.Logger

	listeners listeners
	notifier  notifier
	// origin tells the notifications of this Store from others.
	origin string
}

// Open prepares a pool. It does not connect: Postgres may come and go later, and the error of each use shows whether it
// is available (IsUnavailable). Open fails for a malformed URL. The error may show the URL, without its password.
func Open(ctx context.Context, config Config) (*Store, error) {
	poolConfig, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	setParameters(poolConfig.ConnConfig, config.Name)
	watch := &connectionWatch{}
	poolConfig.ConnConfig.Tracer = watch
	poolConfig.ShouldPing = watch.shouldPing
	poolConfig.PrepareConn = watch.mayBeUsed
	poolConfig.BeforeClose = func(conn *pgx.Conn) { watch.readOnly.Delete(conn) }
	poolConfig.PingTimeout = pingTimeout
	poolConfig.MaxConnLifetime = maxLifetime
	poolConfig.MaxConnLifetimeJitter = maxLifetime / 10
	poolConfig.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// Without this, pgx passes ids through database/sql, as text, one by one: measured, a tenth of the processor
		// time of accepting a message.
		pgxuuid.Register(conn.TypeMap())
		if config.Clock == nil {
			return nil
		}
		return config.Clock.measure(ctx, conn)
	}
	if config.MaxConns > 0 {
		poolConfig.MaxConns = config.MaxConns
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	s := &Store{pool: pool, queries: db.New(pool), conn: poolConfig.ConnConfig.Copy(), log: config.Log, origin: uuid.NewString()}
	s.conn.Tracer = nil
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// setParameters bounds the waits of a connection, and has lists read in the order of their index. Settings of the URL stay.
func setParameters(config *pgx.ConnConfig, name string) {
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// A peer that vanished silently is noticed after half a minute.
	dialer := &net.Dialer{
		Timeout:         config.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	config.DialFunc = dialer.DialContext
	for parameter, value := range map[string]string{
		"application_name":                    name,
		"timezone":                            "UTC",
		"statement_timeout":                   "30s",
		"lock_timeout":                        "10s",
		"idle_in_transaction_session_timeout": "30s",
		// Every statement reads rows by an index and in its order. Postgres would rather read a small table whole, or collect
		// all matches as a bitmap and sort them; it keeps such a plan until the table is analyzed, by when the table of a new
		// installation, or the partition of a month that has just begun, may have a million rows.
		"enable_bitmapscan": "off",
		"enable_seqscan":    "off",
		// The cost that stands for "off" would have Postgres compile the few statements on tables without an index.
		"jit": "off",
	} {
		if _, set := config.RuntimeParams[parameter]; !set {
			config.RuntimeParams[parameter] = value
		}
	}
}

// Queries returns the statements, each in a transaction of its own.
func (s *Store) Queries() *db.Queries { return s.queries }

// Pool returns the pool, for statements that are not in gen/db.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping returns an error if Postgres does not respond.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("pinging Postgres: %w", err)
	}
	return nil
}

// ProbeWrite returns an error if Postgres does not take writes: it is gone, or read-only. It changes nothing.
func (s *Store) ProbeWrite(ctx context.Context) error {
	if _, err := s.pool.Exec(ctx, "DELETE FROM quota WHERE false"); err != nil {
		return fmt.Errorf("trying a write: %w", err)
	}
	return nil
}

// Close waits for the connections in use and closes all connections.
func (s *Store) Close() { s.pool.Close() }

// connectionWatch makes a restart of Postgres fail one statement, and not one per connection: after the loss of a
// connection all others are pinged before use.
//
// A connection to a server that has become read-only, as a primary does that is now a standby, leaves the pool: the next
// one may lead to the new primary.
type connectionWatch struct {
	lost     atomic.Pointer[time.Time]
	readOnly sync.Map // of *pgx.Conn
}

// mayBeUsed reports whether a connection is still to be used; the pool closes one that is not, and takes another.
func (w *connectionWatch) mayBeUsed(_ context.Context, conn *pgx.Conn) (bool, error) {
	_, readOnly := w.readOnly.Load(conn)
	return !readOnly, nil
}

func (w *connectionWatch) shouldPing(_ context.Context, params pgxpool.ShouldPingParams) bool {
	if params.IdleDuration > pingAfterIdle {
		return true
	}
	lost := w.lost.Load()
	return lost != nil && time.Now().Add(-params.IdleDuration).Before(lost.Add(pingAllAfterLoss))
}

// TraceQueryStart implements pgx.QueryTracer.
func (w *connectionWatch) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd records the loss of a connection. A caller that gives up closes its connection too, which means nothing
// for the others.
func (w *connectionWatch) TraceQueryEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	w.note(conn, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (w *connectionWatch) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (w *connectionWatch) TraceBatchQuery(_ context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	w.note(conn, data.Err)
}

// TraceBatchEnd is TraceQueryEnd for statements that were sent together.
func (w *connectionWatch) TraceBatchEnd(_ context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	w.note(conn, data.Err)
}

func (w *connectionWatch) note(conn *pgx.Conn, err error) {
	if sqlState(err) == readOnlyTransaction {
		w.readOnly.Store(conn, true)
	}
	if err == nil || !conn.IsClosed() || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	now := time.Now()
	w.lost.Store(&now)
}
