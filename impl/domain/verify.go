package domain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// minCheckInterval is how long the result of a check is reused for later requests.
	minCheckInterval = 2 * time.Second
	// checkTimeout bounds a check: lookups, SES, and the database.
	checkTimeout = 9500 * time.Millisecond
	sesTimeout   = 3500 * time.Millisecond
	// queueTimeout bounds the wait of a verification for other verifications.
	queueTimeout = 300 * time.Millisecond
	// retryPause is the wait before a check is retried that SES did not allow to finish.
	retryPause = time.Minute
)

// Verify checks a domain now, within 10 seconds, and returns the result. A Failed domain is restarted. A domain
// that was checked within the last two seconds is returned in the state of that check, and so is any domain while
// the process has too many verifications in flight. If SES is needed and unavailable, nothing changes.
func (s *Service) Verify(ctx context.Context, organization, id uuid.UUID) (View, error) {
	// Calls for one domain share a check, which therefore must not end with the first caller.
	result, err, _ := s.flights.Do(organization.String()+id.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
		defer cancel()
		return s.verify(ctx, organization, id)
	})
	view, _ := result.(View)
	return view, err
}

func (s *Service) verify(ctx context.Context, organization, id uuid.UUID) (View, error) {
	queue, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	if err := s.verifications.Acquire(queue, 1); err != nil {
		return s.Get(ctx, organization, id)
	}
	defer s.verifications.Release(1)
	row, err := read(ctx, s.store.Queries(), organization, id)
	if err != nil {
		return View{}, err
	}
	at := s.clock()
	before := stateOf(row.Domain)
	switch {
	case before.Status == StatusFailed:
		before = before.restarted(at)
	case recent(row.Domain, at):
		return newView(row, s.region)
	}
	if err := s.check(ctx, row, before, at, true); err != nil {
		return View{}, fmt.Errorf("verify the domain: %w", err)
	}
	return s.Get(ctx, organization, id)
}

// Recheck checks a domain in the background and returns when to check it next. A deleted domain needs no further
// check. A domain that SES did not allow to be checked stays as it was.
func (s *Service) Recheck(ctx context.Context, organization, id uuid.UUID) (next time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err = s.recheck(ctx, organization, id)
	now := s.clock()
	var failure *ses.Error
	if errors.As(err, &failure) {
		s.log.WarnContext(ctx, "domain not checked", slog.String("domain_id", id.String()), slog.Any("error", err))
		return now.Add(max(retryPause, failure.RetryAfter)), nil
	}
	if errors.Is(err, ErrBusy) {
		return now.Add(retryPause), nil
	}
	if err == nil {
		var row db.DomainGetRow
		if row, err = read(ctx, s.store.Queries(), organization, id); err == nil {
			return stateOf(row.Domain).nextCheck(now), nil
		}
	}
	if errors.Is(err, ErrNotFound) {
		return now.Add(farFuture), nil
	}
	return time.Time{}, fmt.Errorf("check the domain: %w", err)
}

func (s *Service) recheck(ctx context.Context, organization, id uuid.UUID) error {
	row, err := read(ctx, s.store.Queries(), organization, id)
	if err != nil {
		return err
	}
	at := s.clock()
	if row.Domain.Status == StatusFailed || recent(row.Domain, at) {
		return nil
	}
	return s.check(ctx, row, stateOf(row.Domain), at, false)
}

func recent(d db.Domain, at time.Time) bool {
	return d.CheckedAt != nil && at.Sub(*d.CheckedAt).Abs() < minCheckInterval
}

// check checks a domain that was in the given state, and stores the result. It queries the DNS first, and asks SES
// only for what the records found there allow.
func (s *Service) check(ctx context.Context, row db.DomainGetRow, before state, at time.Time, reschedule bool) error {
	if previous := row.Domain.CheckedAt; previous != nil && !at.After(*previous) {
		at = previous.Add(time.Microsecond) // the fence needs a new value
	}
	view, err := newView(row, s.region)
	if err != nil {
		return err
	}
	view.Records = s.lookUp(ctx, view.Records)
	found, records, err := s.syncWithSES(ctx, row, view.Records, at)
	if err != nil {
		return err
	}
	return s.record(ctx, row.Domain, before, before.next(found), found, records, reschedule)
}

// syncWithSES makes the changes in SES that the records allow. They can change which records are wanted.
func (s *Service) syncWithSES(ctx context.Context, row db.DomainGetRow, looked []Record, at time.Time) (checkResult, []Record, error) {
	ctx, cancel := context.WithTimeout(ctx, sesTimeout)
	defer cancel()
	found := summarize(looked, at)
	if found.Ownership != RecordVerified {
		return found, looked, nil
	}
	row, err := s.provisionIdentity(ctx, row)
	if err != nil {
		return checkResult{}, nil, err
	}
	records, err := s.rebuildRecords(row, looked)
	if err != nil {
		return checkResult{}, nil, err
	}
	if found = summarize(records, at); !found.complete() {
		return found, records, nil
	}
	row, ready, err := s.checkWithSES(ctx, row)
	if err != nil {
		return checkResult{}, nil, err
	}
	if records, err = s.rebuildRecords(row, records); err != nil {
		return checkResult{}, nil, err
	}
	found = summarize(records, at)
	found.Ready = ready
	return found, records, nil
}

// rebuildRecords returns the records that are wanted now, with their observations from the lookup.
func (s *Service) rebuildRecords(row db.DomainGetRow, looked []Record) ([]Record, error) {
	seen, err := json.Marshal(observations(looked))
	if err != nil {
		return nil, fmt.Errorf("write the observations: %w", err)
	}
	row.Domain.Observations = seen
	view, err := newView(row, s.region)
	return view.Records, err
}

// record stores a check unless another was stored since it began, and the time of the next one if reschedule is
// set.
func (s *Service) record(
	ctx context.Context, d db.Domain, before, after state, found checkResult, records []Record, reschedule bool,
) error {
	seen, err := json.Marshal(observations(records))
	if err != nil {
		return fmt.Errorf("write the observations: %w", err)
	}
	var stored int64
	err = s.store.Tx(ctx, func(tx *db.Queries) error {
		stored, err = tx.DomainRecordCheck(ctx, db.DomainRecordCheckParams{
			OrganizationID:      d.OrganizationID,
			ID:                  d.ID,
			Status:              after.Status,
			StatusReason:        after.reason(found),
			OwnedAt:             after.OwnedAt,
			Observations:        seen,
			PendingSince:        after.PendingSince,
			VerifiedAt:          after.VerifiedAt,
			FailingSince:        after.FailingSince,
			CheckedAt:           &found.At,
			PreviouslyCheckedAt: d.CheckedAt,
			Ready:               found.Ready,
			ParkedBefore:        found.At.Add(-parkedPause),
		})
		if err != nil {
			return fmt.Errorf("store the check: %w", err)
		}
		// No row: another check was faster, or the domain was deleted. The stored state stands.
		if stored == 0 {
			return nil
		}
		if err := s.publishStatusChange(ctx, tx, d, after, after.reason(found), found.At); err != nil {
			return err
		}
		if found.Ready && waitedEnough(d, found.At) {
			if err := release(ctx, tx, d.OrganizationID, found.At); err != nil {
				return err
			}
		}
		if !reschedule {
			return nil
		}
		return tx.DomainCheckUpsert(ctx, db.DomainCheckUpsertParams{
			DomainID: d.ID, OrganizationID: d.OrganizationID, DueAt: after.nextCheck(found.At),
		})
	})
	if err != nil {
		return fmt.Errorf("record the check: %w", err)
	}
	if stored > 0 && before.Status != after.Status {
		s.store.NotifySoon(store.DeliveriesChannel)
		s.log.InfoContext(ctx, "domain status changed", slog.String("domain_id", d.ID.String()),
			slog.String("from", before.Status), slog.String("to", after.Status))
	}
	return nil
}
