package dispatch

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	daily       = 24 * time.Hour
	sweepEvery  = 10 * time.Minute
	forgetEvery = 10 * time.Minute
	listenEvery = time.Minute
	// keepDeliveries is how long deliveries are kept, with their attempts.
	keepDeliveries = 30 * 24 * time.Hour
	// deliveriesAtOnce bounds how many of them a statement deletes.
	deliveriesAtOnce = 1000
	// keysAtOnce bounds how many idempotency keys a statement deletes.
	keysAtOnce = 10_000
	// choreTimeout bounds one pass.
	choreTimeout = 5 * time.Minute
	// choreRetry is the first wait after a pass that failed.
	choreRetry = 30 * time.Second
)

// chore is a pass over the house that any process may repeat at any time, also while another does the same.
type chore struct {
	name  string
	every time.Duration
	run   func(ctx context.Context) error
}

func (d *Dispatcher) chores() []chore {
	chores := []chore{
		{"create partitions", daily, d.EnsurePartitions},
		{"drop partitions", daily, d.DropPartitions},
		{"sweep identities", sweepEvery, d.SweepIdentities},
		{"forget notifications", forgetEvery, d.ForgetNotifications},
		{"forget deliveries", forgetEvery, d.ForgetDeliveries},
		{"forget idempotency keys", forgetEvery, d.ForgetIdempotencyKeys},
	}
	if d.config.EventsExpected {
		chores = append(chores, chore{"listen for events", listenEvery, d.ListenForEvents})
	}
	if d.config.Quota != nil {
		chores = append(chores, chore{"read the quota", quotaEvery, d.ReadQuota})
	}
	return chores
}

// repeat runs a chore now and then, until ctx ends. One that fails is tried again sooner.
func (d *Dispatcher) repeat(ctx context.Context, c chore) {
	failures := int32(0)
	for ctx.Err() == nil {
		wait := backoff.Jitter(c.every, d.config.Random())
		if err := runChore(ctx, c); err == nil {
			failures = 0
		} else if ctx.Err() == nil {
			failures++
			wait = backoff.Exponential(choreRetry, c.every, failures, d.config.Random())
			d.config.Log.ErrorContext(ctx, "a chore failed", "chore", c.name, "error", err, "retry_in", wait.String())
		}
		_ = backoff.Sleep(ctx, wait) // the loop looks at ctx
	}
}

func runChore(ctx context.Context, c chore) (err error) {
	ctx, cancel := context.WithTimeout(ctx, choreTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s panicked: %s\n%s", c.name, workqueue.PanicText(v), debug.Stack())
		}
	}()
	return c.run(ctx)
}

// EnsurePartitions creates the partitions of the coming months.
func (d *Dispatcher) EnsurePartitions(ctx context.Context) error {
	return d.config.Store.EnsurePartitions(ctx, d.config.Now())
}

// DropPartitions drops what has been kept long enough: bodies first, the rest much later.
func (d *Dispatcher) DropPartitions(ctx context.Context) error {
	now := d.config.Now()
	kept := map[string]time.Duration{
		"contents":   d.config.KeepContents,
		"events":     d.config.KeepRest,
		"recipients": d.config.KeepRest,
		"email_tags": d.config.KeepRest,
		"emails":     d.config.KeepRest,
	}
	var failures []error
	for table, keep := range kept {
		dropped, err := d.config.Store.DropPartitions(ctx, table, now.Add(-keep))
		for _, partition := range dropped {
			d.config.Log.InfoContext(ctx, "a partition was dropped", "partition", partition)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// SweepIdentities removes the SES identities that nobody uses.
func (d *Dispatcher) SweepIdentities(ctx context.Context) error {
	if err := d.config.Domains.SweepIdentities(ctx); err != nil {
		return fmt.Errorf("sweep identities: %w", err)
	}
	return nil
}

// ForgetIdempotencyKeys deletes the answers that have been kept long enough.
func (d *Dispatcher) ForgetIdempotencyKeys(ctx context.Context) error {
	before := d.config.Now().Add(-idempotency.Kept)
	for {
		deleted, err := d.config.Store.Queries().IdempotencyKeyForget(ctx, db.IdempotencyKeyForgetParams{Before: before, Total: keysAtOnce})
		if err != nil {
			return fmt.Errorf("forget idempotency keys: %w", err)
		}
		if deleted < keysAtOnce {
			return nil
		}
	}
}

// ForgetDeliveries deletes the deliveries that have been kept long enough, and those that wait for a webhook that was
// deleted.
func (d *Dispatcher) ForgetDeliveries(ctx context.Context) error {
	queries := d.config.Store.Queries()
	before := d.config.Now().Add(-keepDeliveries)
	for _, forget := range []func() (int64, error){
		func() (int64, error) {
			return queries.DeliveryForget(ctx, db.DeliveryForgetParams{Before: before, Total: deliveriesAtOnce})
		},
		func() (int64, error) { return queries.DeliveryForgetOrphaned(ctx, deliveriesAtOnce) },
	} {
		for {
			deleted, err := forget()
			if err != nil {
				return fmt.Errorf("forget deliveries: %w", err)
			}
			if deleted < deliveriesAtOnce {
				break
			}
		}
	}
	return nil
}
