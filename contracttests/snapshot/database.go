package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
)

// database is a Postgres of its own, beside a snapshot that is held.
type database struct {
	folder   string
	postgres *devdb.Server
	store    *store.Store
	holder   *pgx.Conn
}

func open(ctx context.Context, set settings) (d *database, err error) {
	d = &database{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close(context.WithoutCancel(ctx)))
		}
	}()
	if d.folder, err = os.MkdirTemp("", "snapshot-"); err != nil {
		return d, fmt.Errorf("make a data folder: %w", err)
	}
	if d.postgres, err = devdb.Start(ctx, devdb.Options{DataDir: d.folder}); err != nil {
		return d, err
	}
	url := d.postgres.DSN(devdb.Database)
	if err := store.Migrate(ctx, url, nil); err != nil {
		return d, err
	}
	if d.store, err = store.Open(ctx, store.Config{URL: url, MaxConns: 16, Name: "snapshot"}); err != nil {
		return d, err
	}
	if err := d.execute(ctx, `INSERT INTO organizations (id, name, free_monthly_allowance, price_per_1k_cents, created_at)
		SELECT gen_random_uuid(), 'organization ' || n, 0, 0, now() FROM generate_series(1, $1::integer) AS n`, set.organizations); err != nil {
		return d, err
	}
	if d.holder, err = pgx.Connect(ctx, url); err != nil {
		return d, fmt.Errorf("connect: %w", err)
	}
	_, err = d.holder.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM sends", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return d, fmt.Errorf("hold a snapshot: %w", err)
	}
	return d, nil
}

// work makes messages due, for all organizations alike and as if 6,000 had been accepted per second, and waits until they have been worked off.
func (d *database) work(ctx context.Context, messages int) error {
	err := d.execute(ctx, `WITH added AS (
			INSERT INTO sends (email_id, organization_id, due_at, body_bytes)
			SELECT gen_random_uuid(), o.id, now() - ($1 - n) * interval '150 microseconds', 1000
			FROM (SELECT id, row_number() OVER () - 1 AS place, count(*) OVER () AS count FROM organizations) AS o
			JOIN generate_series(1, $1::integer) AS n ON n % o.count = o.place
			RETURNING organization_id
		)
		SELECT pg_notify('sends', ((extract(epoch FROM now()) - $1 * 0.00015) * 1000000)::bigint || ' ' || organization_id)
		FROM (SELECT DISTINCT organization_id FROM added) AS named`, messages)
	for err == nil {
		var left bool
		err = d.store.Pool().QueryRow(ctx, "SELECT EXISTS (SELECT FROM sends)").Scan(&left)
		if err == nil && !left {
			return nil
		}
		err = errors.Join(err, backoff.Sleep(ctx, 500*time.Millisecond))
	}
	return fmt.Errorf("wait for the messages: %w", err)
}

// survey returns how long it takes to find the organizations with messages.
func (d *database) survey(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if _, err := d.store.Queries().SendLanes(ctx); err != nil {
		return 0, fmt.Errorf("look for organizations: %w", err)
	}
	return time.Since(began), nil
}

func (d *database) execute(ctx context.Context, statement string, arguments ...any) error {
	if _, err := d.store.Pool().Exec(ctx, statement, arguments...); err != nil {
		return fmt.Errorf("execute a statement: %w", err)
	}
	return nil
}

func (d *database) close(ctx context.Context) error {
	var failures []error
	if d.holder != nil {
		failures = append(failures, d.holder.Close(ctx))
	}
	if d.store != nil {
		d.store.Close()
	}
	if d.postgres != nil {
		failures = append(failures, d.postgres.Stop())
	}
	return errors.Join(append(failures, os.RemoveAll(d.folder))...)
}
