package webhook

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// DomainEvent returns the body of an event about a domain.
func DomainEvent(id uuid.UUID, kind api.WebhookDomainEventType, at time.Time, data api.WebhookDomainData) (string, error) {
	return encode(api.WebhookDomainEvent{ID: id, Type: kind, CreatedAt: api.Time{Time: at.UTC()}, Data: data})
}

// OrganizationEvent returns the body of a warning to an organization.
func OrganizationEvent(id uuid.UUID, at time.Time, data api.WebhookOrganizationData) (string, error) {
	return encode(api.WebhookOrganizationEvent{
		ID: id, Type: api.WebhookOrganizationEventTypeOrganizationWarning, CreatedAt: api.Time{Time: at.UTC()}, Data: data,
	})
}

// TestEvent returns the body of an event that tests a webhook.
func TestEvent(id, webhookID uuid.UUID, at time.Time) (string, error) {
	return encode(api.WebhookTestEvent{
		ID: id, Type: api.WebhookTestEventTypeWebhookTest, CreatedAt: api.Time{Time: at.UTC()}, Data: api.WebhookTestData{ID: webhookID},
	})
}

func encode(event any) (string, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return "", fmt.Errorf("write an event: %w", err)
	}
	return string(body), nil
}
