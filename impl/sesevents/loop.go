package sesevents

import (
	"context"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
)

// loop records group after group until ctx ends, when it is woken or a while has passed. After a failure the next group is
// half as large, down to a notification alone, which is put back: so what holds up one notification does not hold up the
// others for long. After a group of which all messages were busy it waits for a moment, since their transactions end soon.
func (r *Recorder) loop(ctx, work context.Context, wake <-chan struct{}) {
	size, wait := maxGroupSize, minRetryDelay
	for ctx.Err() == nil {
		done, err := r.recordDue(work, size)
		switch {
		case err != nil:
			r.config.Log.WarnContext(ctx, "events of SES could not be stored", "notifications", done.taken, "error", err, "retry_in", wait.String())
			_ = backoff.Sleep(ctx, r.jitter(wait)) // the loop checks ctx
			size, wait = max(1, min(size, done.taken)/2), min(2*wait, maxRetryDelay)
			continue
		case done.taken > 0 && done.taken == done.busy:
			_ = backoff.Sleep(ctx, r.jitter(busyPause)) // the loop checks ctx
		case done.more:
			signal(r.wakeAnother)
		case done.busy == 0:
			r.waitIdle(ctx, wake)
		}
		size, wait = min(2*size, maxGroupSize), minRetryDelay
	}
}

// recording says what became of a group: how many notifications it took, how many of them stay due because their messages
// were busy, and whether more may be due.
type recording struct {
	taken, busy int
	more        bool
}

// recordDue records a group of at most size notifications.
func (r *Recorder) recordDue(ctx context.Context, size int) (recording, error) {
	var first time.Time
	putBack := func(dueAt time.Time) {
		if !dueAt.IsZero() {
			r.floor.Lower(dueAt)
		}
	}
	g, err := r.record(ctx, func(ctx context.Context, tx *db.Queries) ([]db.NotificationTakeRow, error) {
		putBack(first) // by a transaction that is repeated
		rows, err := r.takeDue(ctx, tx, size)
		if len(rows) > 0 {
			first = rows[0].DueAt
		}
		return rows, err
	})
	done := recording{taken: len(g.notifications)}
	if err == nil {
		first, done.busy = g.firstBusy()
		putBack(first)
		done.more = done.taken == size || g.bytes() >= maxGroupBytes
		return done, nil
	}
	putBack(first)
	done.more = true
	switch {
	case store.IsStatementError(err):
		return done, r.recordApart(ctx, g, err)
	case done.taken == 1 && ctx.Err() == nil:
		r.config.Log.WarnContext(ctx, "an event of SES could not be stored", "notification", g.notifications[0].MessageID, "error", err)
		return done, r.putBack(ctx, g.notifications[0].NotificationTakeRow)
	}
	return done, err
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
func signal(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default: // one is pending already
	}
}

func (r *Recorder) waitIdle(ctx context.Context, wake <-chan struct{}) {
	timer := time.NewTimer(r.jitter(pollInterval))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
}

// jitter returns d less up to a quarter, so that processes do not act in step.
func (r *Recorder) jitter(d time.Duration) time.Duration { return backoff.Jitter(d, r.config.Random()) }
