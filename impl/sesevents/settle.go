package sesevents

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/ses"
)

// settle ends the work of the notifications of a group, or puts them back: an event whose message may come to exist waits
// for it, and so does not stand before the others. One whose message is busy stays due as it is
// for a while.
func (r *Recorder) settle(ctx context.Context, tx *db.Queries, g *group) error {
	var done []string
	var later db.NotificationPostponeParams
	for _, one := range g.notifications {
		var err error
		switch {
		case one.fate == probe:
			// The sender of the probe ("mailstack doctor") finds the notification by its id.
			err = tx.NotificationSettleProbe(ctx, db.NotificationSettleProbeParams{MessageID: one.MessageID, Probe: one.event.Probe.String()})
		case one.fate == broken && g.now.Sub(one.ReceivedAt) >= matchWindow:
			err = tx.NotificationSetAside(ctx, r.setAsideRow(one.NotificationTakeRow, one.why))
		case g.staysDue(one):
		case one.fate == early, one.fate == busy, one.fate == broken:
			r.addPostponed(&later, one.NotificationTakeRow)
		default:
			done = append(done, one.MessageID)
		}
		if err != nil {
			return fmt.Errorf("end the work of a notification: %w", err)
		}
	}
	if len(later.MessageIds) > 0 {
		if err := tx.NotificationPostpone(ctx, later); err != nil {
			return fmt.Errorf("put notifications back: %w", err)
		}
	}
	if len(done) > 0 {
		if err := tx.NotificationSettle(ctx, done); err != nil {
			return fmt.Errorf("end the work of notifications: %w", err)
		}
	}
	return nil
}

func (r *Recorder) addPostponed(rows *db.NotificationPostponeParams, one db.NotificationTakeRow) {
	rows.MessageIds = append(rows.MessageIds, one.MessageID)
	rows.Attempts = append(rows.Attempts, one.Attempt)
	rows.DueAt = append(rows.DueAt, r.config.Now().Add(backoff.After(one.Attempt+1, r.config.Random())))
}

func (r *Recorder) setAsideRow(one db.NotificationTakeRow, refusal string) db.NotificationSetAsideParams {
	return db.NotificationSetAsideParams{
		MessageID: one.MessageID, Body: one.Body, ReceivedAt: one.ReceivedAt, Refusal: ses.StorableText(refusal), Now: r.config.Now(),
	}
}

// tell counts and logs what became of the notifications of a group that was stored.
func (r *Recorder) tell(ctx context.Context, g *group) {
	for _, one := range g.notifications {
		switch one.fate {
		case recorded:
			if r.config.Observer != nil && !one.event.At.IsZero() {
				r.config.Observer.EventStored(r.config.Now().Sub(one.event.At))
			}
		case unreadable:
			r.discarding(ctx, &r.discarded.unreadable, "unreadable")
		case foreign:
			r.discarding(ctx, &r.discarded.foreign, "not ours")
		case expired:
			r.discarding(ctx, &r.discarded.expired, "about an unknown message")
		case broken:
			r.config.Log.ErrorContext(ctx, "an event of SES could not be read", "notification", one.MessageID, "why", one.why)
		case probe, early, busy:
		}
	}
}

// discarding counts a notification that cannot be read or matched, and logs how many there were.
func (r *Recorder) discarding(ctx context.Context, counter *atomic.Int64, why string) {
	count := counter.Add(1)
	if r.discardLogs.Allow("dropped "+why, r.config.Now()) {
		r.config.Log.WarnContext(ctx, "events of SES were dropped", "why", why, "since_start", count)
	}
}
