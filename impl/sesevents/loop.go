package sesevents

import (
	"context"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
)

// loop records group after group until ctx ends. After a failure the next group is half as large, down to a notification
// alone, which is put back: so what holds up one notification does not hold up the others for long.
func (r *Recorder) loop(ctx, work context.Context) {
	size, wait := maxGroupSize, minRetryDelay
	for ctx.Err() == nil {
		taken, more, err := r.recordDue(work, size)
		switch {
		case err != nil:
			r.config.Log.WarnContext(ctx, "events of SES could not be stored", "notifications", taken, "error", err, "retry_in", wait.String())
			_ = backoff.Sleep(ctx, r.jitter(wait)) // the loop checks ctx
			size, wait = max(1, min(size, taken)/2), min(2*wait, maxRetryDelay)
			continue
		case more:
			r.signal() // for another loop
		default:
			r.waitIdle(ctx)
		}
		size, wait = min(2*size, maxGroupSize), minRetryDelay
	}
}

// recordDue records a group of at most size notifications, and returns how many it took, and whether more may be due.
func (r *Recorder) recordDue(ctx context.Context, size int) (taken int, more bool, err error) {
	var first time.Time
	putBack := func() {
		if !first.IsZero() {
			r.floor.Lower(first)
		}
	}
	g, err := r.record(ctx, func(ctx context.Context, tx *db.Queries) ([]db.NotificationTakeRow, error) {
		putBack() // by a transaction that is repeated
		rows, err := r.takeDue(ctx, tx, size)
		if len(rows) > 0 {
			first = rows[0].DueAt
		}
		return rows, err
	})
	if err != nil {
		putBack()
	}
	taken, more = len(g.notifications), len(g.notifications) == size || g.bytes() >= maxGroupBytes
	switch {
	case err == nil:
		return taken, more, nil
	case store.IsStatementError(err):
		return taken, true, r.recordApart(ctx, g, err)
	case taken == 1 && ctx.Err() == nil:
		r.config.Log.WarnContext(ctx, "an event of SES could not be stored", "notification", g.notifications[0].MessageID, "error", err)
		return taken, true, r.putBack(ctx, g.notifications[0].NotificationTakeRow)
	}
	return taken, true, err
}

// takeDue takes a group of at most size notifications, from the floor on. What it takes is no longer due once its transaction
// ends, or the floor is lowered again.
func (r *Recorder) takeDue(ctx context.Context, tx *db.Queries, size int) ([]db.NotificationTakeRow, error) {
	var left time.Time
	take := r.floor.Begin()
	defer func() { r.floor.End(take, left) }()
	now := r.config.Now()
	rows, err := tx.NotificationTake(ctx, db.NotificationTakeParams{
		Floor: take.From, Now: now, MaxRows: int32(size), MaxBytes: maxGroupBytes,
	})
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		left = now
	default:
		left = rows[len(rows)-1].DueAt
	}
	return rows, nil
}

// signal makes an idle loop look for work at once. It never blocks.
func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // one is pending already
	}
}

func (r *Recorder) waitIdle(ctx context.Context) {
	timer := time.NewTimer(r.jitter(pollInterval))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.wake:
	}
}

// jitter returns d less up to a quarter, so that processes do not act in step.
func (r *Recorder) jitter(d time.Duration) time.Duration { return backoff.Jitter(d, r.config.Random()) }
