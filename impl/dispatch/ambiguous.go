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
	// ambiguousRetryDelay is how long a message that SES may have taken is not tried again, so that SES can tell that it did. Its
	// events come within seconds; SNS repeats those that we did not take at first within the minute.
	ambiguousRetryDelay = time.Minute
	// expiredLeaseWait is the same for a message whose process died: the lease has been most of the time. It is also for one
	// whose outcome could not be stored before.
	expiredLeaseWait = 30 * time.Second
	// eventFlowWindow is how long after the last event of SES others are waited for. Where none arrives at all, waiting would
	// only delay.
	eventFlowWindow = 24 * time.Hour
	// eventFlowTTL is how long it is good for that some have arrived, reportsMissed that none has: the first come soon after
	// the first message, and what is ambiguous by then is to wait for them.
	eventFlowTTL, noEventFlowTTL = 10 * time.Second, time.Second
)

// eventFlow remembers whether events of SES arrive.
type eventFlow struct {
	mu     sync.Mutex
	checkedAt time.Time
	flowing bool
}

// eventsFlowing reports whether SES can be expected to tell what it took: events that any process stored are for all. While
// that cannot be looked up, what was known stands.
func (d *Dispatcher) eventsFlowing(ctx context.Context, now time.Time) bool {
	d.eventFlow.mu.Lock()
	defer d.eventFlow.mu.Unlock()
	good := noEventFlowTTL
	if d.eventFlow.flowing {
		good = eventFlowTTL
	}
	if !d.eventFlow.checkedAt.IsZero() && now.Sub(d.eventFlow.checkedAt) < good {
		return d.eventFlow.flowing
	}
	latest, err := d.config.Store.Queries().NotificationLatest(ctx)
	if err != nil && !store.IsNoRows(err) {
		return d.eventFlow.flowing
	}
	d.eventFlow.checkedAt, d.eventFlow.flowing = now, err == nil && now.Sub(latest) < eventFlowWindow
	return d.eventFlow.flowing
}

// expiredLeaseUntil is when messages of processes that died may be tried again; nil is at once.
func (d *Dispatcher) expiredLeaseUntil(ctx context.Context, now time.Time) *time.Time {
	if !d.eventsFlowing(ctx, now) {
		return nil
	}
	until := now.Add(expiredLeaseWait)
	return &until
}

// finishIfAccepted ends the work of sending a message of which SES reports something that only follows from having taken it.
// That is right whoever has the message in hand: what becomes of an attempt that is under way is then not ours to
// store, but for SES having taken the message, which changes nothing. The due row is locked before the message, in
// the order of those who store outcomes.
func finishIfAccepted(ctx context.Context, tx *db.Queries, event ses.Event) error {
	// Without our tag the message is known by SES's id, which is stored when its work ends.
	if event.MessageID == uuid.Nil || highestOutcome(emailEventsFrom(event, nil)) <= mail.OutcomeSendFailed {
		return nil
	}
	if err := tx.SendComplete(ctx, []uuid.UUID{event.MessageID}); err != nil {
		return fmt.Errorf("end the work of a message that SES took: %w", err)
	}
	return nil
}
