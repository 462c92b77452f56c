package sesevents

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
)

// The kinds of facts that count against the sender's reputation.
const (
	countedBounce    = "bounce"
	countedComplaint = "complaint"
)

// countedAs returns how an event counts against the sender's reputation. Empty means not at all: transient bounces, and
// addresses that SES did not try, cost none.
func (f emailEvent) countedAs() string {
	switch {
	case f.eventType == mail.EventTypeComplained:
		return countedComplaint
	case f.eventType != mail.EventTypeBounced || f.data.BounceType != ses.BouncePermanent:
		return ""
	case slices.Contains(ses.SuppressionSubtypes(), f.data.BounceSubType):
		return ""
	}
	return countedBounce
}

// countAgainstSender stores the bounces and complaints for package reputation. Where the recipient is unknown, the message
// stands for it.
func countAgainstSender(ctx context.Context, tx *db.Queries, target db.EmailLockForEventRow, facts []emailEvent, now time.Time) error {
	rows := db.ReputationFactInsertParams{Now: now}
	for _, fact := range facts {
		kind, recipient := fact.countedAs(), fact.addressKey
		if kind == "" {
			continue
		}
		if recipient == "" {
			recipient = target.ID.String()
		}
		rows.OrganizationIds = append(rows.OrganizationIds, target.OrganizationID)
		rows.EmailIds = append(rows.EmailIds, target.ID)
		rows.Kinds = append(rows.Kinds, kind)
		rows.Recipients = append(rows.Recipients, recipient)
	}
	if len(rows.Kinds) == 0 {
		return nil
	}
	if err := tx.ReputationFactInsert(ctx, rows); err != nil {
		return fmt.Errorf("count bounces and complaints: %w", err)
	}
	return nil
}
