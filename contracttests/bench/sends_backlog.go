package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/store"
)

// manyOrganizations share a backlog.
const manyOrganizations = 100

// snapshotFigures are of the last fifth of a backlog, beside a snapshot that was opened before the first of it was sent.
type snapshotFigures struct {
	After     int     `json:"after"`
	PerSecond float64 `json:"perSecond"`
	// Claim is the mean time of a claim, in milliseconds.
	Claim float64 `json:"claim"`
}

// sendsOfMany measures how fast the worker clears the backlog of many organizations.
func (w *world) sendsOfMany(ctx context.Context) (perSecond float64, err error) {
	const name = "sends-of-many"
	database, err := w.harness.Database(ctx, name)
	if err != nil {
		return 0, err
	}
	defer database.Close()
	messages := min(backlog, int(w.set.each.Seconds()*10_000)) / manyOrganizations * manyOrganizations
	simulator, worker, err := w.backlogOf(ctx, name, database, manyOrganizations, messages)
	if err != nil {
		return 0, err
	}
	defer simulator.Kill()
	defer worker.Kill()
	if perSecond, err = simulator.clearing(ctx, int64(messages)); err != nil {
		return 0, err
	}
	return perSecond, errors.Join(worker.Stop(), simulator.Stop())
}

// sendsBesideSnapshot measures the worker beside a snapshot, for which no dead row may be removed. The backlog is 150,000
// messages where a load lasts six seconds.
func (w *world) sendsBesideSnapshot(ctx context.Context) (figures snapshotFigures, err error) {
	const name = "sends-snapshot"
	messages := max(10_000, int(w.set.each.Seconds()*25_000))
	figures.After = messages * 4 / 5
	database, err := w.harness.Database(ctx, name)
	if err != nil {
		return figures, err
	}
	defer database.Close()
	release, err := hold(ctx, database)
	if err != nil {
		return figures, err
	}
	defer release()
	simulator, worker, err := w.backlogOf(ctx, name, database, 1, messages)
	if err != nil {
		return figures, err
	}
	defer simulator.Kill()
	defer worker.Kill()
	first, err := simulator.await(ctx, int64(figures.After))
	if err != nil {
		return figures, err
	}
	begun := time.Now()
	count, seconds, err := claims(ctx, worker)
	if err != nil {
		return figures, err
	}
	last, err := simulator.await(ctx, int64(messages))
	if err != nil {
		return figures, err
	}
	figures.PerSecond = float64(last-first) / time.Since(begun).Seconds()
	countAfter, secondsAfter, err := claims(ctx, worker)
	figures.Claim = 1000 * (secondsAfter - seconds) / (countAfter - count)
	return figures, errors.Join(err, worker.Stop(), simulator.Stop())
}

func claims(ctx context.Context, worker api) (count, seconds float64, err error) {
	if count, err = metric(ctx, worker.admin, "mailstack_send_claim_seconds_count"); err != nil {
		return 0, 0, err
	}
	seconds, err = metric(ctx, worker.admin, "mailstack_send_claim_seconds_sum")
	return count, seconds, err
}

// hold opens a snapshot, as a backup does, until it is released.
func hold(ctx context.Context, database *store.Store) (release func(), err error) {
	conn, err := database.Pool().Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a snapshot: %w", err)
	}
	for _, statement := range []string{
		"SET idle_in_transaction_session_timeout = 0", "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM organizations",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			conn.Release()
			return nil, fmt.Errorf("open a snapshot: %w", err)
		}
	}
	return conn.Release, nil // it closes a connection with an open transaction
}

// backlogOf stores messages of so many organizations, and starts a worker for them.
func (w *world) backlogOf(ctx context.Context, name string, database *store.Store, organizations, messages int) (simulator, api, error) {
	simulated, err := w.simulate(ctx)
	if err != nil {
		return simulator{}, api{}, err
	}
	for range organizations {
		tenant, err := harness.NewTenant(ctx, database, plenty)
		if err == nil {
			err = simulated.Register(ctx, tenant.Domain)
		}
		if err == nil {
			err = fillRows(ctx, database, tenant, messages/organizations, true)
		}
		if err != nil {
			return simulator{}, api{}, errors.Join(err, simulated.Stop())
		}
	}
	if err := settle(ctx, database); err != nil {
		return simulator{}, api{}, errors.Join(err, simulated.Stop())
	}
	admin, err := harness.FreeAddress(ctx)
	if err != nil {
		return simulator{}, api{}, errors.Join(err, simulated.Stop())
	}
	worker, err := w.harness.Start(ctx, name, name, []string{
		"AWS_ENDPOINT_URL_SESV2=" + simulated.URL, "MAILSTACK_LOG_LEVEL=warn", "MAILSTACK_ADMIN_ADDR=" + admin,
	}, "worker")
	if err != nil {
		return simulator{}, api{}, errors.Join(err, simulated.Stop())
	}
	return simulated, api{Process: worker, admin: admin}, nil
}
