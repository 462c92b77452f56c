package maintenance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/store"
)

const (
	daily                   = 24 * time.Hour
	deleteInterval          = 10 * time.Minute
	defaultContentRetention = 30 * 24 * time.Hour
	defaultMessageRetention = 400 * 24 * time.Hour
	// idempotencyKeyBatchSize bounds how many idempotency keys a statement deletes.
	idempotencyKeyBatchSize = 10_000
)

// Retention creates partitions ahead of time, and deletes what has expired.
type Retention struct {
	Store *store.Store
	// Contents is how long bodies are kept, Messages how long messages, recipients and events are. Both are
	// rounded up to whole months. Zero means 30 and 400 days.
	Contents, Messages time.Duration
	Now                func() time.Time
	Log                *slog.Logger
}

// Jobs returns the periodic jobs of retention.
func (r *Retention) Jobs() []Job {
	return []Job{
		{"create partitions", daily, r.EnsurePartitions},
		{"drop partitions", daily, r.DropPartitions},
		{"delete expired idempotency keys", deleteInterval, r.DeleteExpiredIdempotencyKeys},
	}
}

// EnsurePartitions creates the partitions of the coming months.
func (r *Retention) EnsurePartitions(ctx context.Context) error {
	return r.Store.EnsurePartitions(ctx, r.Now())
}

// DropPartitions drops the partitions that have expired: bodies after r.Contents, the rest after r.Messages.
func (r *Retention) DropPartitions(ctx context.Context) error {
	contents, messages := r.Contents, r.Messages
	if contents <= 0 {
		contents = defaultContentRetention
	}
	if messages <= 0 {
		messages = defaultMessageRetention
	}
	var failures []error
	for table, kept := range map[string]time.Duration{
		"contents": contents, "events": messages, "recipients": messages, "email_tags": messages, "emails": messages,
	} {
		dropped, err := r.Store.DropPartitions(ctx, table, r.Now().Add(-kept))
		for _, partition := range dropped {
			r.Log.InfoContext(ctx, "a partition was dropped", "partition", partition)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// DeleteExpiredIdempotencyKeys deletes the saved responses that are older than idempotency.TTL.
func (r *Retention) DeleteExpiredIdempotencyKeys(ctx context.Context) error {
	before := r.Now().Add(-idempotency.TTL)
	for {
		deleted, err := r.Store.Queries().IdempotencyKeyDeleteExpired(ctx, db.IdempotencyKeyDeleteExpiredParams{
			Before: before, MaxRows: idempotencyKeyBatchSize,
		})
		if err != nil {
			return fmt.Errorf("delete expired idempotency keys: %w", err)
		}
		if deleted < idempotencyKeyBatchSize {
			return nil
		}
	}
}
