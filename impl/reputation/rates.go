package reputation

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

// whole stands in the place of a domain for all mail of an organization.
const whole = ""

// counts are the recipients that a rate is made of.
type counts struct{ recipients, bounced, complained int64 }

// ratesOf returns the stored rates of an organization and what they are now, by domain. The rates of the organization are
// locked until the transaction ends.
func ratesOf(ctx context.Context, tx *db.Queries, organization uuid.UUID, now time.Time) (before map[string]db.Reputation, after map[string]counts, err error) {
	if err := tx.ReputationBegin(ctx, organization); err != nil {
		return nil, nil, fmt.Errorf("lock the rates: %w", err)
	}
	stored, err := tx.ReputationList(ctx, organization)
	if err != nil {
		return nil, nil, fmt.Errorf("read the rates: %w", err)
	}
	before, after = map[string]db.Reputation{}, map[string]counts{whole: {}}
	since := windowStart(now)
	for _, row := range stored {
		before[row.Domain], after[row.Domain] = row, counts{}
		if row.Domain == whole && row.CountsFrom != nil && row.CountsFrom.After(since) {
			since = *row.CountsFrom
		}
	}
	if err := addFacts(ctx, tx, organization, since, after); err != nil {
		return nil, nil, err
	}
	return before, after, countUnique(ctx, tx, organization, dayOf(windowStart(now)), after)
}

// addFacts counts the recipients to whom mail bounced, and who complained.
func addFacts(ctx context.Context, tx *db.Queries, organization uuid.UUID, since time.Time, into map[string]counts) error {
	countedTo, err := tx.ReputationGetProgress(ctx)
	if err != nil {
		return fmt.Errorf("read up to where recipients are counted: %w", err)
	}
	facts, err := tx.ReputationCountFacts(ctx, db.ReputationCountFactsParams{
		OrganizationID: organization, Since: since, CountedTo: countedTo,
	})
	if err != nil {
		return fmt.Errorf("count bounces and complaints: %w", err)
	}
	for _, fact := range facts {
		if fact.Domain == whole && !fact.Whole {
			continue // of a domain that was deleted
		}
		one := into[fact.Domain]
		if fact.Kind == "bounce" {
			one.bounced = fact.Recipients
		} else {
			one.complained = fact.Recipients
		}
		into[fact.Domain] = one
	}
	return nil
}

// countUnique counts the recipients of the domains whose rates are wanted, and of the whole organization.
func countUnique(ctx context.Context, tx *db.Queries, organization uuid.UUID, firstDay int32, into map[string]counts) error {
	days, err := tx.ReputationListDays(ctx, db.ReputationListDaysParams{OrganizationID: organization, FirstDay: firstDay})
	if err != nil {
		return fmt.Errorf("read the counted recipients: %w", err)
	}
	sketches := map[string]sketch{}
	for _, row := range days {
		read, err := readSketch(row.Recipients)
		if err != nil {
			return err
		}
		if err := mergeInto(sketches, whole, read); err != nil {
			return err
		}
		if _, wanted := into[row.Domain]; !wanted || row.Domain == whole {
			continue
		}
		if err := mergeInto(sketches, row.Domain, read); err != nil {
			return err
		}
	}
	for domain, counted := range sketches {
		one := into[domain]
		one.recipients = counted.count()
		into[domain] = one
	}
	return nil
}

func mergeInto(sketches map[string]sketch, domain string, more sketch) error {
	counted, known := sketches[domain]
	if !known {
		var err error
		if counted, err = newSketch(); err != nil {
			return err
		}
		sketches[domain] = counted
	}
	return counted.merge(more)
}
