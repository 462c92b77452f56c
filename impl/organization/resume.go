package organization

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

// resumeBatch bounds how many waiting messages a statement makes due.
const resumeBatch = 1000

// Resume lifts the suspension of an organization and every pause of its sending, and makes the messages that waited due.
// Its rates of bounces and complaints begin anew, so that sending is not paused again for the same facts.
func (o Organizations) Resume(ctx context.Context, id uuid.UUID) error {
	now := o.Now()
	err := o.Store.Tx(ctx, func(tx *db.Queries) error {
		if _, err := tx.OrganizationResume(ctx, id); err != nil {
			return err
		}
		return resetReputation(ctx, tx, id, now)
	})
	if err != nil {
		return fmt.Errorf("resume the organization: %w", err)
	}
	return o.makeDue(ctx, id, now)
}

// resetReputation makes only what is accepted from now on count. Rates are computed under the first of the locks, and
// recipients are counted under the second one.
func resetReputation(ctx context.Context, tx *db.Queries, id uuid.UUID, now time.Time) error {
	if err := tx.ReputationBegin(ctx, id); err != nil {
		return err
	}
	if err := tx.ReputationAwait(ctx); err != nil {
		return err
	}
	if err := tx.ReputationReset(ctx, db.ReputationResetParams{OrganizationID: id, Now: now}); err != nil {
		return err
	}
	if err := tx.ReputationDeleteDays(ctx, id); err != nil {
		return err
	}
	return tx.ReputationDeleteFacts(ctx, id)
}

// makeDue makes what was postponed due, in small transactions: there can be a million messages.
func (o Organizations) makeDue(ctx context.Context, id uuid.UUID, now time.Time) error {
	for floor := now; ; {
		row, err := o.Store.Queries().SendDueNow(ctx, db.SendDueNowParams{OrganizationID: id, Now: now, Floor: floor, MaxRows: resumeBatch})
		if err != nil {
			return fmt.Errorf("make the waiting messages due: %w", err)
		}
		if row.Moved < resumeBatch {
			return o.wake(ctx, id)
		}
		floor = row.Last
	}
}

// wake names an organization to the workers whose messages may be due since long ago.
func (o Organizations) wake(ctx context.Context, id uuid.UUID) error {
	err := o.Store.Queries().SendNotify(ctx, db.SendNotifyParams{DueAt: time.Unix(0, 0), OrganizationIds: []uuid.UUID{id}})
	if err != nil {
		return fmt.Errorf("wake the workers: %w", err)
	}
	return nil
}
