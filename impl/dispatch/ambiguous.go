package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// eventWait is how long a message that SES may have taken is not tried again, so that SES can tell that it did. Its
	// events come within seconds; SNS repeats those that we did not take at first within the minute.
	eventWait = time.Minute
	// abandonedWait is the same for a message whose process died: the lease has been most of the time. It is also for one
	// whose outcome could not be stored before.
	abandonedWait = 30 * time.Second
	// reportsTrusted is how long after the last event of SES others are waited for. Where none arrives at all, waiting would
	// only delay.
	reportsTrusted = 24 * time.Hour
	// reportsLooked is how long it is good for that some have arrived, reportsMissed that none has: the first come soon after
	// the first message, and what is ambiguous by then is to wait for them.
	reportsLooked, reportsMissed = 10 * time.Second, time.Second
)

// reports remembers whether events of SES arrive.
type reports struct {
	mu     sync.Mutex
	looked time.Time
	arrive bool
}

// eventsArrive reports whether SES can be expected to tell what it took: events that any process stored are for all. While
// that cannot be looked up, what was known stands.
func (d *Dispatcher) eventsArrive(ctx context.Context, now time.Time) bool {
	d.reports.mu.Lock()
	defer d.reports.mu.Unlock()
	good := reportsMissed
	if d.reports.arrive {
		good = reportsLooked
	}
	if !d.reports.looked.IsZero() && now.Sub(d.reports.looked) < good {
		return d.reports.arrive
	}
	latest, err := d.config.Store.Queries().NotificationLatest(ctx)
	if err != nil && !store.IsNoRows(err) {
		return d.reports.arrive
	}
	d.reports.looked, d.reports.arrive = now, err == nil && now.Sub(latest) < reportsTrusted
	return d.reports.arrive
}

// abandonedUntil is when messages of processes that died may be tried again; nil is at once.
func (d *Dispatcher) abandonedUntil(ctx context.Context, now time.Time) *time.Time {
	if !d.eventsArrive(ctx, now) {
		return nil
	}
	until := now.Add(abandonedWait)
	return &until
}

// endSending ends the work of sending a message of which SES reports something that only follows from having taken it.
// That is right whoever has the message in hand: what becomes of an attempt that is under way is then not ours to
// store, but for SES having taken the message, which changes nothing. The due row is locked before the message, in
// the order of those who store outcomes.
func endSending(ctx context.Context, tx *db.Queries, event ses.Event) error {
	// Without our tag the message is known by SES's id, which is stored when its work ends.
	if event.MessageID == uuid.Nil || highest(factsOf(event, nil)) <= mail.OutcomeGaveUp {
		return nil
	}
	if err := tx.SendFinish(ctx, []uuid.UUID{event.MessageID}); err != nil {
		return fmt.Errorf("end the work of a message that SES took: %w", err)
	}
	return nil
}
