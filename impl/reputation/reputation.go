// Package reputation watches how much of an organization's mail bounces or is complained about. All organizations send
// through one SES account and share its reputation there, so that too high a rate of one of them stops that one.
//
//   - reputation.go: [Watcher] and its thresholds
//   - count.go: counting recipients; sketch.go: how they are counted once
//   - rates.go: computing the rates of an organization and of its domains
//   - verdict.go: warnings and pauses, and the webhook event about them
//
// A rate is the share of recipients to whom mail bounced for good, or who complained, of all recipients of the messages
// accepted within the last 7 days, today included (UTC). Every recipient counts once. Package sesevents stores the bounces
// and complaints as they come; the recipients are counted a few minutes later from the messages, in the order of their ids,
// so that neither accepting nor sending does any work for it. Both sides of a rate concern the same messages: those up to
// which recipients are counted.
package reputation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// windowDays is how many days count, today included.
	windowDays = 7
	day        = 24 * time.Hour
	// factsAreNew is how long after a bounce or complaint the rates of its organization are computed on every run. It is longer
	// than countDelay: until then the fact waits for its message to be counted.
	factsAreNew = 15 * time.Minute
	// ratesAreStale is when the rates of an organization are computed again although no bounce and no complaint came.
	ratesAreStale = time.Hour
)

// Thresholds are the rates from which an organization is warned, and its sending paused.
type Thresholds struct {
	// MinRecipients is how many recipients there must be for a rate to mean anything.
	MinRecipients int64
	Bounces       Levels
	Complaints    Levels
}

// Levels are shares of recipients, from 0 to 1. Zero means never.
type Levels struct{ Warning, Pause float64 }

// Watcher computes rates and acts on them. It is safe for concurrent use, also by several processes.
type Watcher struct {
	Store      *store.Store
	Thresholds Thresholds
	Now        func() time.Time
	Log        *slog.Logger
}

// Run counts the recipients of new messages, and computes the rates of the organizations with new bounces or complaints.
func (w *Watcher) Run(ctx context.Context) error {
	mine, err := w.count(ctx)
	if err != nil || !mine {
		return err // another process does the same work right now
	}
	now := w.Now()
	due, err := w.Store.Queries().ReputationListDue(ctx, db.ReputationListDueParams{
		NewSince: now.Add(-factsAreNew), StaleBefore: now.Add(-ratesAreStale),
	})
	if err != nil {
		return fmt.Errorf("find organizations with bounces or complaints: %w", err)
	}
	var failures []error
	for _, organization := range due {
		failures = append(failures, w.judge(ctx, organization))
	}
	return errors.Join(append(failures, w.deleteOld(ctx))...)
}

// judge computes the rates of an organization and acts on them.
func (w *Watcher) judge(ctx context.Context, organization uuid.UUID) error {
	var found []verdict
	err := w.Store.Tx(ctx, func(tx *db.Queries) error {
		now := w.Now()
		before, after, err := ratesOf(ctx, tx, organization, now)
		if err != nil {
			return err
		}
		found = w.Thresholds.verdicts(before, after)
		return save(ctx, tx, organization, found, now)
	})
	if err != nil {
		return fmt.Errorf("compute the rates of an organization: %w", err)
	}
	for _, one := range found {
		one.log(ctx, w.Log, organization)
		if one.news != nil {
			w.Store.NotifySoon(store.DeliveriesChannel)
		}
	}
	return nil
}

// deleteOld deletes what no window reaches any more.
func (w *Watcher) deleteOld(ctx context.Context) error {
	queries, now := w.Store.Queries(), w.Now()
	before := windowStart(now)
	if err := queries.ReputationDeleteOldFacts(ctx, before); err != nil {
		return fmt.Errorf("delete old bounces and complaints: %w", err)
	}
	if err := queries.ReputationDeleteOldDays(ctx, dayOf(before)); err != nil {
		return fmt.Errorf("delete old recipients: %w", err)
	}
	if err := queries.ReputationDeleteOld(ctx, before); err != nil {
		return fmt.Errorf("delete old rates: %w", err)
	}
	return nil
}

// windowStart returns the beginning of the first day that counts.
func windowStart(now time.Time) time.Time {
	return now.UTC().Truncate(day).Add(-(windowDays - 1) * day)
}

// dayOf returns the days since 1970.
func dayOf(at time.Time) int32 { return int32(at.Unix() / int64(day/time.Second)) }
