package sesevents

import (
	"context"
	"fmt"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
)

// recordApart records the two halves of a group that Postgres refuses, each in a transaction of its own, and their halves
// where it refuses those: the notification that it is about ends alone, and the others are stored.
func (r *Recorder) recordApart(ctx context.Context, g *group, refusal error) error {
	if len(g.notifications) == 0 {
		return refusal
	}
	if len(g.notifications) == 1 {
		return r.putAside(ctx, g, refusal)
	}
	middle := len(g.notifications) / 2
	for _, half := range [][]notification{g.notifications[:middle], g.notifications[middle:]} {
		ids := make([]string, len(half))
		for i, one := range half {
			ids[i] = one.MessageID
		}
		again, err := r.record(ctx, func(ctx context.Context, tx *db.Queries) ([]db.NotificationTakeRow, error) {
			rows, err := tx.NotificationTakeAgain(ctx, db.NotificationTakeAgainParams{MessageIds: ids, Now: r.config.Now()})
			taken := make([]db.NotificationTakeRow, len(rows))
			for i, row := range rows {
				taken[i] = db.NotificationTakeRow(row)
			}
			return taken, err
		})
		if store.IsStatementError(err) {
			err = r.recordApart(ctx, again, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// putAside puts a notification back that Postgres refuses. After as long as an event is awaited, it ends its work, and
// keeps it for an operator to look at.
func (r *Recorder) putAside(ctx context.Context, g *group, refusal error) error {
	one := g.notifications[0].NotificationTakeRow
	if g.now.Sub(one.ReceivedAt) < matchWindow {
		r.config.Log.WarnContext(ctx, "an event of SES could not be stored", "notification", one.MessageID, "error", refusal)
		return r.putBack(ctx, one)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := r.config.Store.Queries().NotificationSetAside(ctx, r.setAsideRow(one, refusal.Error())); err != nil {
		r.config.Log.WarnContext(ctx, "a notification could not be set aside", "notification", one.MessageID, "error", err)
		return r.putBack(ctx, one)
	}
	r.config.Log.ErrorContext(ctx, "an event of SES was set aside: it could not be stored for seven days", "notification", one.MessageID, "error", refusal)
	return nil
}

// putBack makes a notification due later.
func (r *Recorder) putBack(ctx context.Context, one db.NotificationTakeRow) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var row db.NotificationPostponeParams
	r.addPostponed(&row, one)
	if err := r.config.Store.Queries().NotificationPostpone(ctx, row); err != nil {
		return fmt.Errorf("put a notification back: %w", err)
	}
	return nil
}
