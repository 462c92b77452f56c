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
	sweepInterval  = 10 * time.Minute
	deleteInterval = 10 * time.Minute
	eventCheckInterval = time.Minute
	// deliveryRetention is how long deliveries are kept, with their attempts.
	deliveryRetention = 30 * 24 * time.Hour
	// deliveryBatchSize bounds how many of them a statement deletes.
	deliveryBatchSize = 1000
	// idempotencyKeyBatchSize bounds how many idempotency keys a statement deletes.
	idempotencyKeyBatchSize = 10_000
	// jobTimeout bounds one pass.
	jobTimeout = 5 * time.Minute
	// jobRetry is the first wait after a pass that failed.
	jobRetry = 30 * time.Second
)

// periodicJob is a pass over the house that any process may repeat at any time, also while another does the same.
type periodicJob struct {
	name  string
	every time.Duration
	run   func(ctx context.Context) error
}

func (d *Dispatcher) jobs() []periodicJob {
	chores := []periodicJob{
		{"create partitions", daily, d.EnsurePartitions},
		{"drop partitions", daily, d.DropPartitions},
		{"sweep identities", sweepInterval, d.SweepIdentities},
		{"forget notifications", deleteInterval, d.DeleteExpiredNotifications},
		{"forget deliveries", deleteInterval, d.DeleteExpiredDeliveries},
		{"forget idempotency keys", deleteInterval, d.DeleteExpiredIdempotencyKeys},
	}
	if d.config.EventsExpected {
		chores = append(chores, periodicJob{"listen for events", eventCheckInterval, d.WarnIfNoEvents})
	}
	if d.config.FetchQuota != nil {
		chores = append(chores, periodicJob{"read the quota", quotaInterval, d.RefreshQuota})
	}
	return chores
}

// runPeriodically runs a chore now and then, until ctx ends. One that fails is tried again sooner.
func (d *Dispatcher) runPeriodically(ctx context.Context, c periodicJob) {
	failures := int32(0)
	for ctx.Err() == nil {
		wait := backoff.Jitter(c.every, d.config.Random())
		if err := runJob(ctx, c); err == nil {
			failures = 0
		} else if ctx.Err() == nil {
			failures++
			wait = backoff.Exponential(jobRetry, c.every, failures, d.config.Random())
			d.config.Log.ErrorContext(ctx, "a chore failed", "chore", c.name, "error", err, "retry_in", wait.String())
		}
		_ = backoff.Sleep(ctx, wait) // the loop looks at ctx
	}
}

func runJob(ctx context.Context, c periodicJob) (err error) {
	ctx, cancel := context.WithTimeout(ctx, jobTimeout)
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
		"contents":   d.config.ContentRetention,
		"events":     d.config.MessageRetention,
		"recipients": d.config.MessageRetention,
		"email_tags": d.config.MessageRetention,
		"emails":     d.config.MessageRetention,
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

// DeleteExpiredIdempotencyKeys deletes the answers that have been kept long enough.
func (d *Dispatcher) DeleteExpiredIdempotencyKeys(ctx context.Context) error {
	before := d.config.Now().Add(-idempotency.Kept)
	for {
		deleted, err := d.config.Store.Queries().IdempotencyKeyDeleteExpired(ctx, db.IdempotencyKeyDeleteExpiredParams{Before: before, MaxRows: idempotencyKeyBatchSize})
		if err != nil {
			return fmt.Errorf("forget idempotency keys: %w", err)
		}
		if deleted < idempotencyKeyBatchSize {
			return nil
		}
	}
}

// DeleteExpiredDeliveries deletes the deliveries that have been kept long enough, and those that wait for a webhook that was
// deleted.
func (d *Dispatcher) DeleteExpiredDeliveries(ctx context.Context) error {
	queries := d.config.Store.Queries()
	before := d.config.Now().Add(-deliveryRetention)
	for _, forget := range []func() (int64, error){
		func() (int64, error) {
			return queries.DeliveryDeleteExpired(ctx, db.DeliveryDeleteExpiredParams{Before: before, MaxRows: deliveryBatchSize})
		},
		func() (int64, error) { return queries.DeliveryDeleteOrphaned(ctx, deliveryBatchSize) },
	} {
		for {
			deleted, err := forget()
			if err != nil {
				return fmt.Errorf("forget deliveries: %w", err)
			}
			if deleted < deliveryBatchSize {
				break
			}
		}
	}
	return nil
}
