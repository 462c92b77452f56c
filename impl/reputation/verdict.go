package reputation

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/webhook"
)

// verdict is what follows from the rates of an organization or of one of its domains.
type verdict struct {
	domain string
	counts counts
	// warned and paused report whether a rate is at the threshold now.
	warned, paused bool
	// news is the event about a threshold that was reached since the last verdict. Nil means none.
	news *api.WebhookOrganizationData
}

// verdicts compares the rates with the thresholds.
func (t Thresholds) verdicts(before map[string]db.Reputation, after map[string]counts) []verdict {
	found := make([]verdict, 0, len(after))
	for domain, now := range after {
		one := verdict{domain: domain, counts: now}
		var warning, pause *api.WebhookOrganizationData
		for _, measured := range []struct {
			measure  api.WebhookReputationMeasure
			affected int64
			levels   Levels
		}{
			{api.WebhookReputationMeasureComplaints, now.complained, t.Complaints},
			{api.WebhookReputationMeasureBounces, now.bounced, t.Bounces},
		} {
			if at, reached := t.reached(now.recipients, measured.affected, measured.levels.Warning); reached {
				at.Measure, warning = measured.measure, at
			}
			if at, reached := t.reached(now.recipients, measured.affected, measured.levels.Pause); reached {
				at.Measure, at.Paused, pause = measured.measure, true, at
			}
		}
		one.warned, one.paused = warning != nil || pause != nil, pause != nil
		switch stored := before[domain]; {
		case pause != nil && stored.PausedAt == nil:
			one.news = pause
		case warning != nil && stored.WarnedAt == nil && stored.PausedAt == nil:
			one.news = warning
		}
		if one.news != nil && domain != whole {
			one.news.Domain = &domain
		}
		found = append(found, one)
	}
	return found
}

// reached compares a rate with a threshold.
func (t Thresholds) reached(recipients, affected int64, threshold float64) (*api.WebhookOrganizationData, bool) {
	if threshold <= 0 || affected == 0 || recipients < max(1, t.MinRecipients) {
		return nil, false
	}
	rate := min(1, float64(affected)/float64(recipients))
	if rate < threshold {
		return nil, false
	}
	return &api.WebhookOrganizationData{Rate: rate, Threshold: threshold, Recipients: recipients, Affected: affected}, true
}

// save stores the rates, pauses the organization, and tells its webhooks, all in one transaction.
func save(ctx context.Context, tx *db.Queries, organization uuid.UUID, found []verdict, now time.Time) error {
	rows := db.ReputationSaveParams{OrganizationID: organization, Now: now}
	for _, one := range found {
		rows.Domains = append(rows.Domains, one.domain)
		rows.Recipients = append(rows.Recipients, one.counts.recipients)
		rows.Bounced = append(rows.Bounced, one.counts.bounced)
		rows.Complained = append(rows.Complained, one.counts.complained)
		rows.Warned = append(rows.Warned, one.warned)
		rows.Paused = append(rows.Paused, one.paused)
	}
	if err := tx.ReputationSave(ctx, rows); err != nil {
		return fmt.Errorf("store the rates: %w", err)
	}
	for _, one := range found {
		if one.domain == whole && one.paused {
			if err := tx.OrganizationPauseSending(ctx, db.OrganizationPauseSendingParams{ID: organization, Now: now}); err != nil {
				return fmt.Errorf("pause sending: %w", err)
			}
		}
		if one.news == nil {
			continue
		}
		if err := publish(ctx, tx, organization, *one.news, now); err != nil {
			return err
		}
	}
	return nil
}

func publish(ctx context.Context, tx *db.Queries, organization uuid.UUID, news api.WebhookOrganizationData, now time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make the id of an event: %w", err)
	}
	payload, err := webhook.OrganizationEvent(id, now, news)
	if err != nil {
		return err
	}
	err = tx.DeliveryInsertSubscribed(ctx, db.DeliveryInsertSubscribedParams{
		EventID: id, OrganizationID: organization, EventType: string(api.WebhookOrganizationEventTypeOrganizationWarning),
		Payload: payload, Now: now,
	})
	if err != nil {
		return fmt.Errorf("tell the webhooks: %w", err)
	}
	return nil
}

// log tells the operator of a threshold that was reached.
func (v verdict) log(ctx context.Context, to *slog.Logger, organization uuid.UUID) {
	if v.news == nil {
		return
	}
	text := "an organization nears the limit of " + string(v.news.Measure)
	if v.news.Paused {
		text = "sending is paused for too many " + string(v.news.Measure)
	}
	to.LogAttrs(ctx, slog.LevelWarn, text, slog.String("organization_id", organization.String()), slog.String("domain", v.domain),
		slog.Float64("rate", v.news.Rate), slog.Int64("recipients", v.news.Recipients), slog.Int64("affected", v.news.Affected))
}
