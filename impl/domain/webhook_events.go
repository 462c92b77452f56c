package domain

import (
	"context"
	"fmt"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/webhook"
)

// publishStatusChange makes the webhook event about a change of status, if there was one, in the transaction that
// stores the change. Restarting a failed domain is no event until it is verified or fails again.
func (s *Service) publishStatusChange(
	ctx context.Context, tx *db.Queries, d db.Domain, after state, reason *string, at time.Time,
) error {
	kind, happened := eventOf(d.Status, after.Status)
	if !happened {
		return nil
	}
	id, err := s.newID()
	if err != nil {
		return err
	}
	payload, err := webhook.DomainEvent(id, kind, at, api.WebhookDomainData{
		ID: d.ID, Domain: d.Name, Status: api.DomainStatus(after.Status), StatusReason: reason,
	})
	if err != nil {
		return err
	}
	err = tx.DeliveryInsertSubscribed(ctx, db.DeliveryInsertSubscribedParams{
		EventID: id, OrganizationID: d.OrganizationID, EventType: string(kind), Payload: payload, Now: at,
	})
	if err != nil {
		return fmt.Errorf("tell the webhooks: %w", err)
	}
	return nil
}

func eventOf(before, after string) (api.WebhookDomainEventType, bool) {
	switch {
	case before == after:
	case after == StatusVerified:
		return api.WebhookDomainEventTypeDomainVerified, true
	case after == StatusFailed:
		return api.WebhookDomainEventTypeDomainFailed, true
	case before == StatusVerified:
		return api.WebhookDomainEventTypeDomainUnverified, true
	}
	return "", false
}
