package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
)

// reserve counts the messages against their organizations' allowances, under a lock on the usage rows that is held
// until the commit: however many transactions run at once, together they never accept more than an allowance.
//
// Every transaction first opens the periods that are not open, and then locks, both in the order of the
// organizations' ids, so that transactions of several organizations never deadlock.
func reserve(ctx context.Context, tx *db.Queries, all []*candidate, found preconditions, now time.Time) error {
	perOrganization := make(map[uuid.UUID][]*candidate)
	for _, c := range remaining(all) {
		perOrganization[c.message.OrganizationID] = append(perOrganization[c.message.OrganizationID], c)
	}
	ids := make([]uuid.UUID, 0, len(perOrganization))
	var closed []uuid.UUID
	for id := range perOrganization {
		ids = append(ids, id)
		if !found.open[id] {
			closed = append(closed, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	period := billing.PeriodAt(now).Key
	if err := tx.UsageBoundWait(ctx, fmt.Sprintf("%dms", usageLockWait.Milliseconds())); err != nil {
		return fmt.Errorf("bound the wait for the allowance: %w", err)
	}
	if len(closed) > 0 {
		if err := tx.UsageOpen(ctx, db.UsageOpenParams{OrganizationIds: closed, PeriodKey: period}); err != nil {
			return fmt.Errorf("open the billing period: %w", err)
		}
	}
	rows, err := tx.UsageLock(ctx, db.UsageLockParams{OrganizationIds: ids, PeriodKey: period})
	if err != nil {
		return fmt.Errorf("reserve the allowance: %w", err)
	}
	if len(rows) != len(ids) {
		return fmt.Errorf("reserve the allowance: %d of %d organizations have a billing period", len(rows), len(ids))
	}
	return count(ctx, tx, rows, perOrganization, found, now)
}

// count refuses what does not fit, and stores the usage of what does. It closes a period that was opened for
// nothing.
func count(
	ctx context.Context, tx *db.Queries, rows []db.UsageLockRow, perOrganization map[uuid.UUID][]*candidate, found preconditions,
	now time.Time,
) error {
	period := billing.PeriodAt(now).Key
	added := db.UsageAddParams{PeriodKey: period, Day: dayOf(now)}
	nothing := db.UsageCloseParams{PeriodKey: period}
	for _, row := range rows {
		dayRoom, nextDay := found.allowed[row.OrganizationID].dayRoom(row, now)
		reserved := fit(usageOf(row), dayRoom, nextDay, perOrganization[row.OrganizationID])
		if reserved == 0 {
			if !found.open[row.OrganizationID] {
				nothing.OrganizationIds = append(nothing.OrganizationIds, row.OrganizationID)
			}
			continue
		}
		added.OrganizationIds = append(added.OrganizationIds, row.OrganizationID)
		added.Emails = append(added.Emails, reserved)
	}
	if len(added.Emails) > 0 {
		if err := tx.UsageAdd(ctx, added); err != nil {
			return fmt.Errorf("count the messages: %w", err)
		}
	}
	if len(nothing.OrganizationIds) > 0 {
		if err := tx.UsageClose(ctx, nothing); err != nil {
			return fmt.Errorf("close the billing period again: %w", err)
		}
	}
	return nil
}

func usageOf(row db.UsageLockRow) billing.Usage {
	return billing.Usage{
		Sent:                 row.EmailsSent,
		FreeAllowance:        row.FreeMonthlyAllowance,
		PricePer1kCents:      row.PricePer1kCents,
		HasPaymentMethod:     row.HasPaymentMethod,
		MonthlySpendCapCents: row.MonthlySpendCapCents,
	}
}

// fit refuses the messages that do not fit, and returns how many emails do. After the first message of a
// submission that does not fit, the rest of that submission is refused: the accepted messages of a batch are
// always its beginning. dayRoom is what is left of the day, and nextDay when it ends.
func fit(account billing.Usage, dayRoom int64, nextDay time.Duration, candidates []*candidate) int64 {
	var reserved int64
	room := account.Remaining()
	closed := make(map[*submission]*Refusal)
	for _, c := range candidates {
		emails := c.message.recipients()
		switch {
		case closed[c.submission] != nil:
			c.result.Refusal = closed[c.submission]
			continue
		case emails > room:
			c.refuse(Reason(account.LimitReached()), "")
		case emails > dayRoom:
			c.refuseFor(nextDay)
		default:
			room -= emails
			dayRoom -= emails
			reserved += emails
			continue
		}
		closed[c.submission] = c.result.Refusal
	}
	return reserved
}
