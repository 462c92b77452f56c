package sesevents

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
)

// storeFacts stores the events of a group that are new, and what follows from them. What follows from known ones is stored
// already, and is not stored again. Ids of SES come before events: their webhooks show them, and SES may be faster than our
// own commit. Events that decide a status come before it: the webhook of each shows its own status, or a higher one that
// was stored before the group. Those that decide none come after it: their webhooks show the status of the message.
func (g *group) storeFacts(ctx context.Context, tx *db.Queries) error {
	if len(g.facts) == 0 {
		return nil
	}
	for _, store := range []func(ctx context.Context, tx *db.Queries) error{
		g.setProviderIDs, g.suppress, g.countAgainstSenders, g.insertDecisive, g.raiseRecipients, g.raiseEmails, g.insertOthers,
	} {
		if err := store(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (g *group) setProviderIDs(ctx context.Context, tx *db.Queries) error {
	var rows db.EmailSetProviderIDParams
	for _, one := range g.targets {
		if one.newProviderID != "" {
			rows.Ids = append(rows.Ids, one.id)
			rows.OrganizationIds = append(rows.OrganizationIds, one.organizationID)
			rows.ProviderMessageIds = append(rows.ProviderMessageIds, one.newProviderID)
		}
	}
	if len(rows.Ids) == 0 {
		return nil
	}
	if err := tx.EmailSetProviderID(ctx, rows); err != nil {
		return fmt.Errorf("store the provider's ids: %w", err)
	}
	return nil
}

// suppress puts addresses that bounced for good, or complained, on the suppression lists of their organizations.
func (g *group) suppress(ctx context.Context, tx *db.Queries) error {
	var rows db.SuppressionInsertParams
	for _, one := range g.facts {
		if one.suppress == "" {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make the id of a suppression: %w", err)
		}
		rows.Ids = append(rows.Ids, id)
		rows.OrganizationIds = append(rows.OrganizationIds, one.target.organizationID)
		rows.AddressKeys = append(rows.AddressKeys, one.addressKey)
		rows.Reasons = append(rows.Reasons, one.suppress)
		rows.Details = append(rows.Details, one.data.Reason)
		rows.EmailIds = append(rows.EmailIds, one.target.id)
		rows.FactKeys = append(rows.FactKeys, one.key)
		rows.CreatedAt = append(rows.CreatedAt, g.now)
	}
	if len(rows.Ids) == 0 {
		return nil
	}
	if _, err := tx.SuppressionInsert(ctx, rows); err != nil {
		return fmt.Errorf("suppress addresses: %w", err)
	}
	return nil
}

func (g *group) insertDecisive(ctx context.Context, tx *db.Queries) error {
	return g.insertEvents(ctx, tx, func(outcome mail.Outcome) bool { return outcome > mail.OutcomeQueued })
}

func (g *group) insertOthers(ctx context.Context, tx *db.Queries) error {
	return g.insertEvents(ctx, tx, func(outcome mail.Outcome) bool { return outcome == mail.OutcomeQueued })
}

func (g *group) insertEvents(ctx context.Context, tx *db.Queries, wanted func(mail.Outcome) bool) error {
	rows := db.EventInsertParams{DueFrom: g.now.Add(-dueSlack)}
	for _, one := range g.facts {
		if !wanted(one.outcome()) {
			continue
		}
		data, err := json.Marshal(one.data)
		if err != nil {
			return fmt.Errorf("encode the data of an event: %w", err)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make the id of an event: %w", err)
		}
		rows.EmailIds = append(rows.EmailIds, one.target.id)
		rows.FactKeys = append(rows.FactKeys, one.key)
		rows.Ids = append(rows.Ids, id)
		rows.OrganizationIds = append(rows.OrganizationIds, one.target.organizationID)
		rows.Types = append(rows.Types, one.eventType)
		rows.Data = append(rows.Data, data)
		rows.OccurredAt = append(rows.OccurredAt, one.at.Truncate(time.Microsecond))
	}
	if len(rows.Ids) == 0 {
		return nil
	}
	if err := tx.EventInsert(ctx, rows); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return nil
}

// raiseRecipients stores the outcomes of recipients that are higher than they were when their message was read. They can
// only have become higher since, which the statement sees.
func (g *group) raiseRecipients(ctx context.Context, tx *db.Queries) error {
	var rows db.RecipientRaiseOutcomeParams
	for _, about := range g.targets {
		for _, row := range about.recipients {
			stored, reached := mail.Outcome(row.Outcome), about.reachedBy[row.Position]
			if mail.Higher(stored, reached) != stored {
				rows.EmailIds = append(rows.EmailIds, about.id)
				rows.OrganizationIds = append(rows.OrganizationIds, about.organizationID)
				rows.Positions = append(rows.Positions, row.Position)
				rows.Outcomes = append(rows.Outcomes, int16(reached))
			}
		}
	}
	if len(rows.EmailIds) == 0 {
		return nil
	}
	if err := tx.RecipientRaiseOutcome(ctx, rows); err != nil {
		return fmt.Errorf("mark recipients: %w", err)
	}
	return nil
}

// raiseEmails stores the outcomes of messages, where anything changes: the outcome, its reason, or when SES took the message.
func (g *group) raiseEmails(ctx context.Context, tx *db.Queries) error {
	var rows db.EmailRaiseOutcomeParams
	for _, one := range g.targets {
		newReason := one.found == one.reached && one.reached.HasReason()
		if one.reached == one.outcome && !newReason && one.sentAt.IsZero() {
			continue
		}
		rows.Ids = append(rows.Ids, one.id)
		rows.OrganizationIds = append(rows.OrganizationIds, one.organizationID)
		rows.Outcomes = append(rows.Outcomes, int16(one.reached))
		rows.SentAt = append(rows.SentAt, one.sentAt)
	}
	if len(rows.Ids) == 0 {
		return nil
	}
	if err := tx.EmailRaiseOutcome(ctx, rows); err != nil {
		return fmt.Errorf("mark messages: %w", err)
	}
	return nil
}
