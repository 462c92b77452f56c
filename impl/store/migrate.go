package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/schema"
)

const (
	// migrationLock is the key of the advisory lock, "mailstac" in ASCII.
	migrationLock = 0x6d61696c73746163
	lockPoll      = 20 * time.Millisecond
)

// Migrate migrates the schema to the version of this binary, completes the indexes of partitioned tables, and creates the
// partitions of the coming months. Any number of processes may do so at once. A newer schema is left as it is.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("reading the database URL: %w", err)
	}
	// A migration may run long, but must not wait long for a lock: other statements queue up behind it.
	config.RuntimeParams["statement_timeout"] = "0"
	// It may read whole tables, which the statements of the server never do.
	config.RuntimeParams["enable_seqscan"] = "on"
	config.RuntimeParams["enable_bitmapscan"] = "on"
	setParameters(config, "mailstack migrate")
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connecting to migrate: %w", err)
	}
	// Closing also releases the lock.
	defer func() {
		finish, cancel := detach(ctx)
		defer cancel()
		_ = conn.Close(finish)
	}()
	if err := lockMigrations(ctx, conn); err != nil {
		return err
	}
	if err := applyMigrations(ctx, config, log); err != nil {
		return err
	}
	if err := buildPartitionIndexes(ctx, conn, log); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "SELECT ensure_partitions(now())"); err != nil {
		return fmt.Errorf("creating partitions: %w", err)
	}
	return nil
}

// lockMigrations polls for the advisory lock. A statement that waits for the lock would hold a snapshot, and a CREATE
// INDEX CONCURRENTLY of the process that has the lock would wait for the snapshot in turn.
func lockMigrations(ctx context.Context, conn *pgx.Conn) error {
	for {
		var locked bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(migrationLock)).Scan(&locked); err != nil {
			return fmt.Errorf("locking the migrations: %w", err)
		}
		if locked {
			return nil
		}
		if err := backoff.Sleep(ctx, lockPoll); err != nil {
			return fmt.Errorf("waiting for another migration: %w", err)
		}
	}
}

func applyMigrations(ctx context.Context, config *pgx.ConnConfig, log *slog.Logger) (err error) {
	database := stdlib.OpenDB(*config)
	defer func() { err = errors.Join(err, database.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, database, schema.Files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return fmt.Errorf("migrating: %w", err)
	}
	for _, result := range results {
		log.InfoContext(ctx, "migrated", "version", result.Source.Version, "duration", result.Duration.String())
	}
	return nil
}

// SchemaVersion returns the schema version of the database, 0 before the first migration, and the version that this
// binary wants. A binary runs on the schema of its version and on a newer one.
func (s *Store) SchemaVersion(ctx context.Context) (have, want int64, err error) {
	want, err = wantedVersion()
	if err != nil {
		return 0, 0, err
	}
	err = s.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&have)
	const undefinedTable = "42P01"
	if err != nil && sqlState(err) != undefinedTable {
		return 0, 0, fmt.Errorf("reading the version of the schema: %w", err)
	}
	return have, want, nil
}

func wantedVersion() (int64, error) {
	files, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("listing the migrations: %w", err)
	}
	var latest int64
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return 0, fmt.Errorf("the number of migration %s: %w", file, err)
		}
		latest = max(latest, version)
	}
	return latest, nil
}
