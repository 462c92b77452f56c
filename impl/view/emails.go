package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
)

// Email returns a message with its recipients.
func Email(row db.Email, rows []db.Recipient) api.Email {
	recipients := make([]api.EmailRecipient, 0, len(rows))
	for _, recipient := range rows {
		recipients = append(recipients, api.EmailRecipient{
			Email:  recipient.Address,
			Kind:   api.EmailRecipientKind(recipient.Kind),
			Status: api.EmailStatus(mail.Outcome(recipient.Outcome).Status()),
		})
	}
	summary := EmailSummary(row)
	return api.Email{
		ID:                summary.ID,
		FromEmail:         summary.FromEmail,
		FromName:          summary.FromName,
		ToEmail:           summary.ToEmail,
		Cc:                summary.Cc,
		Bcc:               summary.Bcc,
		ReplyTo:           summary.ReplyTo,
		Subject:           summary.Subject,
		Status:            summary.Status,
		ProviderMessageID: summary.ProviderMessageID,
		ErrorMessage:      summary.ErrorMessage,
		Tags:              summary.Tags,
		QueuedAt:          summary.QueuedAt,
		SentAt:            summary.SentAt,
		CreatedAt:         summary.CreatedAt,
		Recipients:        recipients,
	}
}

// EmailSummary returns a message as lists show it.
func EmailSummary(row db.Email) api.EmailSummary {
	return api.EmailSummary{
		ID:                row.ID,
		FromEmail:         row.FromEmail,
		FromName:          OrNull(row.FromName),
		ToEmail:           row.ToEmail,
		Cc:                OrNull(row.Cc),
		Bcc:               OrNull(row.Bcc),
		ReplyTo:           OrNull(row.ReplyTo),
		Subject:           row.Subject,
		Status:            api.EmailStatus(mail.Outcome(row.Outcome).Status()),
		ProviderMessageID: row.ProviderMessageID,
		ErrorMessage:      row.ErrorMessage,
		Tags:              OrNull(strings.Join(row.Tags, ",")),
		QueuedAt:          Time(row.QueuedAt),
		SentAt:            TimeOrNull(row.SentAt),
		CreatedAt:         Time(row.CreatedAt),
	}
}

// EmailEvent returns an email event, with the recipient and the reason apart from the rest of its data.
func EmailEvent(row db.Event) (api.EmailEvent, error) {
	event := api.EmailEvent{ID: row.ID, Type: api.EmailEventType(row.Type), OccurredAt: Time(row.OccurredAt)}
	var apart struct{ Recipient, Reason string }
	if err := errors.Join(json.Unmarshal(row.Data, &event.Data), json.Unmarshal(row.Data, &apart)); err != nil {
		return event, fmt.Errorf("read the data of an event: %w", err)
	}
	event.Recipient, event.Detail = OrNull(apart.Recipient), OrNull(apart.Reason)
	return event, nil
}
