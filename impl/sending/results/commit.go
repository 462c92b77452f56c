package results

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/sending/eventflow"
	"github.com/voostack/mailstack/impl/store"
)

// newCommitFunc returns the function that stores a group of results in one transaction. Doing so twice is doing so
// once, since a commit whose response was lost may have happened. Without permanent failures it is one round trip:
// with seven, a busy machine spent more time on waking the two sides than on the statements.
func newCommitFunc(s *store.Store, now func() time.Time) func(ctx context.Context, group []*Settlement) error {
	return func(ctx context.Context, group []*Settlement) error {
		slices.SortFunc(group, func(a, b *Settlement) int { return bytes.Compare(a.Send.EmailID[:], b.Send.EmailID[:]) })
		return s.TxPipelined(ctx, func(tx *db.Queries) error {
			if err := tx.SendLock(ctx, idsOf(group)); err != nil {
				return fmt.Errorf("lock due rows: %w", err)
			}
			if err := lockMessages(ctx, tx, group); err != nil {
				return err
			}
			if err := commitSent(ctx, tx, group); err != nil {
				return err
			}
			if err := commitFailed(ctx, tx, withDisposition(group, Failed)); err != nil {
				return err
			}
			return commitRetries(ctx, tx, withDisposition(group, Retry), now())
		})
	}
}

// lockMessages locks the messages whose status changes, if there are several.
func lockMessages(ctx context.Context, tx *db.Queries, group []*Settlement) error {
	changed := slices.Concat(withDisposition(group, Sent), withDisposition(group, Failed))
	if len(changed) < 2 {
		return nil
	}
	if err := tx.EmailLock(ctx, idsOf(changed)); err != nil {
		return fmt.Errorf("lock messages: %w", err)
	}
	return nil
}

// commitSent ends the work of sent and superseded messages, and stores the events of the sent ones.
func commitSent(ctx context.Context, tx *db.Queries, group []*Settlement) error {
	taken := withDisposition(group, Sent)
	done := slices.Concat(taken, withDisposition(group, Superseded))
	if len(done) == 0 {
		return nil
	}
	if err := tx.SendComplete(ctx, idsOf(done)); err != nil {
		return fmt.Errorf("end the work of sent messages: %w", err)
	}
	if len(taken) == 0 {
		return nil
	}
	marks := db.EmailMarkSentParams{Outcome: int16(mail.OutcomeSent)}
	var facts eventRows
	for _, one := range taken {
		marks.Ids = append(marks.Ids, one.Send.EmailID)
		marks.OrganizationIds = append(marks.OrganizationIds, one.Send.OrganizationID)
		marks.ProviderMessageIds = append(marks.ProviderMessageIds, one.Result.ProviderMessageID)
		marks.SentAt = append(marks.SentAt, one.Result.At)
		data := sentData{ProviderMessageID: one.Result.ProviderMessageID, AmbiguousAttempts: one.Send.AmbiguousAttempts}
		if err := facts.add(one, mail.EventKeySent, mail.EventTypeSent, data); err != nil {
			return err
		}
	}
	if err := tx.EmailMarkSent(ctx, marks); err != nil {
		return fmt.Errorf("mark messages as sent: %w", err)
	}
	return insertEvents(ctx, tx, taken, mail.OutcomeSent, facts)
}

// commitFailed ends the work of messages that failed for good and stores their events, except where another
// process has taken the message over.
func commitFailed(ctx context.Context, tx *db.Queries, group []*Settlement) error {
	if len(group) == 0 {
		return nil
	}
	ours := db.SendFailParams{EmailIds: idsOf(group)}
	for _, one := range group {
		ours.Attempts = append(ours.Attempts, one.Send.Attempt)
	}
	ended, err := tx.SendFail(ctx, ours)
	if err != nil {
		return fmt.Errorf("end the work of failed messages: %w", err)
	}
	group = slices.DeleteFunc(slices.Clone(group), func(one *Settlement) bool { return !slices.Contains(ended, one.Send.EmailID) })
	if len(group) == 0 {
		return nil
	}
	marks := db.EmailMarkFailedParams{Outcome: int16(mail.OutcomeSendFailed)}
	var facts eventRows
	for _, one := range group {
		marks.Ids = append(marks.Ids, one.Send.EmailID)
		marks.OrganizationIds = append(marks.OrganizationIds, one.Send.OrganizationID)
		marks.ErrorMessages = append(marks.ErrorMessages, one.Result.Reason)
		data := failedData{Code: one.Result.Code, Reason: one.Result.Reason}
		if err := facts.add(one, mail.EventKeySendFailed, mail.EventTypeFailed, data); err != nil {
			return err
		}
	}
	if err := tx.EmailMarkFailed(ctx, marks); err != nil {
		return fmt.Errorf("mark messages as failed: %w", err)
	}
	return insertEvents(ctx, tx, group, mail.OutcomeSendFailed, facts)
}

// insertEvents stores the outcome of the recipients of messages, and the events about the messages.
func insertEvents(ctx context.Context, tx *db.Queries, group []*Settlement, reached mail.Outcome, facts eventRows) error {
	marks := db.RecipientSetOutcomeParams{Outcome: int16(reached)}
	for _, one := range group {
		for _, position := range one.Positions {
			marks.EmailIds = append(marks.EmailIds, one.Send.EmailID)
			marks.Positions = append(marks.Positions, position)
			marks.OrganizationIds = append(marks.OrganizationIds, one.Send.OrganizationID)
		}
	}
	if err := tx.RecipientSetOutcome(ctx, marks); err != nil {
		return fmt.Errorf("mark recipients: %w", err)
	}
	if err := tx.EventInsert(ctx, db.EventInsertParams(facts)); err != nil {
		return fmt.Errorf("insert events: %w", err)
	}
	return nil
}

// commitRetries puts messages back. A message that awaits an event is due eventflow.ExpiredLeaseWait from now at the
// earliest: when Postgres was unavailable, its event could not be stored either.
func commitRetries(ctx context.Context, tx *db.Queries, group []*Settlement, now time.Time) error {
	if len(group) == 0 {
		return nil
	}
	var waits db.SendPostponeParams
	for _, one := range group {
		ambiguous := int32(0)
		if one.Result.Ambiguous {
			ambiguous = 1
		}
		waits.EmailIds = append(waits.EmailIds, one.Send.EmailID)
		waits.Attempts = append(waits.Attempts, one.Send.Attempt)
		dueAt := one.Result.DueAt
		if earliest := now.Add(eventflow.ExpiredLeaseWait); one.Result.AwaitsEvent && dueAt.Before(earliest) {
			dueAt = earliest
		}
		waits.DueAt = append(waits.DueAt, dueAt)
		waits.Ambiguous = append(waits.Ambiguous, ambiguous)
	}
	if err := tx.SendPostpone(ctx, waits); err != nil {
		return fmt.Errorf("postpone messages: %w", err)
	}
	return nil
}

// sentData is the data of an email.sent event, failedData of an email.failed event.
type sentData struct {
	ProviderMessageID string `json:"providerMessageId"`
	AmbiguousAttempts int32  `json:"ambiguousAttempts,omitempty"`
}

type failedData struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

type eventRows db.EventInsertParams

func (f *eventRows) add(one *Settlement, key, eventType string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make the id of an event: %w", err)
	}
	f.EmailIds = append(f.EmailIds, one.Send.EmailID)
	f.FactKeys = append(f.FactKeys, key)
	f.Ids = append(f.Ids, id)
	f.OrganizationIds = append(f.OrganizationIds, one.Send.OrganizationID)
	f.Types = append(f.Types, eventType)
	f.Data = append(f.Data, encoded)
	f.OccurredAt = append(f.OccurredAt, one.Result.At.Truncate(time.Microsecond))
	return nil
}

func withDisposition(group []*Settlement, wanted Disposition) []*Settlement {
	var found []*Settlement
	for _, one := range group {
		if one.Result.Disposition == wanted {
			found = append(found, one)
		}
	}
	return found
}

func idsOf(group []*Settlement) []uuid.UUID {
	ids := make([]uuid.UUID, len(group))
	for i, one := range group {
		ids[i] = one.Send.EmailID
	}
	return ids
}
