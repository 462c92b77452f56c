package domain

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

// releasedAtOnce bounds how many messages are tried first when SES says again that it can send for a parked domain. The
// others come due within an hour, so that a domain which is refused once more has cost little.
const releasedAtOnce = 1000

// waitedEnough reports whether a domain is parked and its mail may be tried again when SES can send for it.
func waitedEnough(d db.Domain, at time.Time) bool {
	return d.ParkedAt != nil && !d.ParkedAt.After(at.Add(-parkedPause))
}

// release makes messages that waited for a parked domain due.
func release(ctx context.Context, tx *db.Queries, organization uuid.UUID, now time.Time) error {
	waiting := db.SendDueNowParams{OrganizationID: organization, Now: now, Floor: now, MaxRows: releasedAtOnce}
	if _, err := tx.SendDueNow(ctx, waiting); err != nil {
		return fmt.Errorf("make the waiting messages due: %w", err)
	}
	if err := tx.SendNotify(ctx, db.SendNotifyParams{DueAt: now, OrganizationIds: []uuid.UUID{organization}}); err != nil {
		return fmt.Errorf("wake the workers: %w", err)
	}
	return nil
}
