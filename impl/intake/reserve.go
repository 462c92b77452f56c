package intake

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
)

// reserve counts the messages against their organizations' allowances, under a lock on the usage row that is held
// until the commit: however many transactions run at once, none accepts one email too many. Organizations are taken
// in the order of their ids, so that transactions of several never wait for each other in a circle.
func reserve(ctx context.Context, tx *db.Queries, all []*candidate, now time.Time) error {
	perOrganization := make(map[uuid.UUID][]*candidate)
	for _, c := range remaining(all) {
		perOrganization[c.message.OrganizationID] = append(perOrganization[c.message.OrganizationID], c)
	}
	ids := make([]uuid.UUID, 0, len(perOrganization))
	for id := range perOrganization {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	period := billing.PeriodAt(now)
	for _, id := range ids {
		if err := reserveFor(ctx, tx, id, period, perOrganization[id]); err != nil {
			return fmt.Errorf("reserve the allowance: %w", err)
		}
	}
	return nil
}

func reserveFor(
	ctx context.Context, tx *db.Queries, organizationID uuid.UUID, period billing.Period, candidates []*candidate,
) error {
	account, err := lockAccount(ctx, tx, organizationID, period)
	if err != nil {
		return err
	}
	reserved := fit(account, candidates)
	if reserved == 0 {
		return nil
	}
	return tx.UsageAdd(ctx, db.UsageAddParams{
		OrganizationID: organizationID, PeriodKey: period.Key, Emails: reserved,
	})
}

// lockAccount opens the period first: a row that is there already costs one look at its index.
func lockAccount(
	ctx context.Context, tx *db.Queries, organizationID uuid.UUID, period billing.Period,
) (billing.Account, error) {
	opening := db.UsageOpenParams{OrganizationID: organizationID, PeriodKey: period.Key}
	if err := tx.UsageOpen(ctx, opening); err != nil {
		return billing.Account{}, err
	}
	row, err := tx.UsageLock(ctx, db.UsageLockParams{OrganizationID: organizationID, PeriodKey: period.Key})
	if err != nil {
		return billing.Account{}, err
	}
	return billing.Account{
		Sent:                 row.EmailsSent,
		FreeAllowance:        row.FreeMonthlyAllowance,
		PricePer1kCents:      row.PricePer1kCents,
		HasPaymentMethod:     row.HasPaymentMethod,
		MonthlySpendCapCents: row.MonthlySpendCapCents,
	}, nil
}

// fit refuses what does not fit and returns how many emails do. The first message of a submission that does not fit
// closes the rest of that submission: what is accepted of a batch is always its beginning.
func fit(account billing.Account, candidates []*candidate) int64 {
	var reserved int64
	room := account.Room()
	closed := make(map[*submission]bool)
	for _, c := range candidates {
		emails := c.message.recipients()
		if closed[c.submission] || emails > room {
			closed[c.submission] = true
			c.refuse(Reason(account.Refusal()), "")
			continue
		}
		room -= emails
		reserved += emails
	}
	return reserved
}
