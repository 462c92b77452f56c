package sesevents

import (
	"cmp"
	"context"
	"fmt"
	"slices"

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

// countAgainstSenders stores the bounces and complaints for package reputation. Where the recipient is unknown, the message
// stands for it.
func (g *group) countAgainstSenders(ctx context.Context, tx *db.Queries) error {
	rows := db.ReputationFactInsertParams{Now: g.now}
	for _, one := range g.facts {
		kind := one.countedAs()
		if kind == "" {
			continue
		}
		rows.OrganizationIds = append(rows.OrganizationIds, one.target.organizationID)
		rows.EmailIds = append(rows.EmailIds, one.target.id)
		rows.Kinds = append(rows.Kinds, kind)
		rows.Recipients = append(rows.Recipients, cmp.Or(one.addressKey, one.target.id.String()))
		rows.FactKeys = append(rows.FactKeys, one.key)
	}
	if len(rows.Kinds) == 0 {
		return nil
	}
	if err := tx.ReputationFactInsert(ctx, rows); err != nil {
		return fmt.Errorf("count bounces and complaints: %w", err)
	}
	return nil
}
