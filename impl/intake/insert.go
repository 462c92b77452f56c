package intake

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
)

// insert stores the messages that are not refused, in one statement per table, and wakes the workers at the commit.
func (intake *Intake) insert(ctx context.Context, tx *db.Queries, all []*candidate, now time.Time) error {
	accepted := remaining(all)
	if len(accepted) == 0 {
		return nil
	}
	made, err := intake.ids.next(now, len(accepted))
	if err != nil {
		return err
	}
	for i, c := range accepted {
		c.result.ID = made[i]
	}
	if err := tx.EmailInsert(ctx, emailRows(accepted, now)); err != nil {
		return fmt.Errorf("insert messages: %w", err)
	}
	if err := tx.RecipientInsert(ctx, recipientRows(accepted)); err != nil {
		return fmt.Errorf("insert recipients: %w", err)
	}
	if err := tx.ContentInsert(ctx, contentRows(accepted)); err != nil {
		return fmt.Errorf("insert contents: %w", err)
	}
	if err := insertTags(ctx, tx, accepted); err != nil {
		return err
	}
	due := db.SendInsertParams{DueAt: now}
	for _, c := range accepted {
		due.EmailIds = append(due.EmailIds, c.result.ID)
		due.OrganizationIds = append(due.OrganizationIds, c.message.OrganizationID)
		due.BodyBytes = append(due.BodyBytes, int32(len(c.message.HTML)+len(c.message.Text)))
		if intake.config.Tracer != nil {
			due.Traceparents = append(due.Traceparents, c.submission.traceparent)
		}
	}
	if err := tx.SendInsert(ctx, due); err != nil {
		return fmt.Errorf("insert due rows: %w", err)
	}
	return nil
}

func emailRows(accepted []*candidate, now time.Time) db.EmailInsertParams {
	rows := db.EmailInsertParams{Now: now}
	for _, c := range accepted {
		message := c.message
		rows.Ids = append(rows.Ids, c.result.ID)
		rows.OrganizationIds = append(rows.OrganizationIds, message.OrganizationID)
		rows.APIKeyIds = append(rows.APIKeyIds, message.APIKeyID)
		rows.DomainIds = append(rows.DomainIds, c.domainID)
		rows.FromEmails = append(rows.FromEmails, message.From.Bare())
		rows.FromNames = append(rows.FromNames, message.FromName)
		rows.ToEmails = append(rows.ToEmails, mail.FormatList(message.To))
		rows.Ccs = append(rows.Ccs, mail.FormatList(message.Cc))
		rows.Bccs = append(rows.Bccs, mail.FormatList(message.Bcc))
		rows.ReplyTos = append(rows.ReplyTos, mail.FormatList(message.ReplyTo))
		rows.Subjects = append(rows.Subjects, message.Subject)
		rows.Tags = append(rows.Tags, strings.Join(message.Tags, ","))
	}
	return rows
}

func insertTags(ctx context.Context, tx *db.Queries, accepted []*candidate) error {
	var rows db.TagInsertParams
	for _, c := range accepted {
		for _, tag := range c.message.Tags {
			rows.OrganizationIds = append(rows.OrganizationIds, c.message.OrganizationID)
			rows.Tags = append(rows.Tags, tag)
			rows.EmailIds = append(rows.EmailIds, c.result.ID)
		}
	}
	if len(rows.Tags) == 0 {
		return nil
	}
	if err := tx.TagInsert(ctx, rows); err != nil {
		return fmt.Errorf("insert tags: %w", err)
	}
	return nil
}

func contentRows(accepted []*candidate) db.ContentInsertParams {
	var rows db.ContentInsertParams
	for _, c := range accepted {
		rows.EmailIds = append(rows.EmailIds, c.result.ID)
		rows.OrganizationIds = append(rows.OrganizationIds, c.message.OrganizationID)
		rows.Htmls = append(rows.Htmls, c.message.HTML)
		rows.Texts = append(rows.Texts, c.message.Text)
	}
	return rows
}

// recipient is one address of a message and the field that named it.
type recipient struct {
	kind    string
	address mail.Address
}

func recipientsOf(message *Message) []recipient {
	recipients := make([]recipient, 0, message.recipients())
	for _, address := range message.To {
		recipients = append(recipients, recipient{"to", address})
	}
	for _, address := range message.Cc {
		recipients = append(recipients, recipient{"cc", address})
	}
	for _, address := range message.Bcc {
		recipients = append(recipients, recipient{"bcc", address})
	}
	return recipients
}

func recipientRows(accepted []*candidate) db.RecipientInsertParams {
	var rows db.RecipientInsertParams
	for _, c := range accepted {
		for position, r := range recipientsOf(c.message) {
			rows.EmailIds = append(rows.EmailIds, c.result.ID)
			rows.Positions = append(rows.Positions, int16(position))
			rows.OrganizationIds = append(rows.OrganizationIds, c.message.OrganizationID)
			rows.Kinds = append(rows.Kinds, r.kind)
			rows.Names = append(rows.Names, r.address.Name)
			rows.Addresses = append(rows.Addresses, r.address.Bare())
			rows.AddressKeys = append(rows.AddressKeys, r.address.Key())
		}
	}
	return rows
}
