package results

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

// errNotSetAside is returned for a message that is to be tried again anyway.
var errNotSetAside = errors.New("the message was to be tried again")

// newSetAsideFunc returns the function that ends the work of a message whose result Postgres refuses, and keeps the result
// apart. It then stores what it can of it: the status, without events.
func newSetAsideFunc(s *store.Store, now func() time.Time) func(ctx context.Context, one *Settlement, refusal error) error {
	return func(ctx context.Context, one *Settlement, refusal error) error {
		if one.Result.Disposition == Retry {
			return errNotSetAside
		}
		ours := false
		err := s.Tx(ctx, func(tx *db.Queries) (err error) {
			if ours, err = endWork(ctx, tx, one); err != nil || !ours {
				return err
			}
			return tx.ResultSetAside(ctx, db.ResultSetAsideParams{
				EmailID: one.Send.EmailID, OrganizationID: one.Send.OrganizationID, Attempt: one.Send.Attempt,
				Result: one.Result.Disposition.String(), ProviderMessageID: one.Result.ProviderMessageID, Reason: one.Result.Reason,
				Refusal: ses.StorableText(refusal.Error()), Now: now(),
			})
		})
		if err != nil || !ours {
			return err
		}
		if err := s.Tx(ctx, func(tx *db.Queries) error { return markAlone(ctx, tx, one) }); err != nil && !store.IsStatementError(err) {
			return fmt.Errorf("mark a message whose result was set aside: %w", err)
		}
		return nil
	}
}

// endWork ends the work of a message. It returns false if the message failed for good, and is another attempt's by now.
func endWork(ctx context.Context, tx *db.Queries, one *Settlement) (ours bool, err error) {
	ids := []uuid.UUID{one.Send.EmailID}
	if err := tx.SendLock(ctx, ids); err != nil {
		return false, fmt.Errorf("lock a due row: %w", err)
	}
	if one.Result.Disposition != Failed {
		return true, tx.SendComplete(ctx, ids)
	}
	ended, err := tx.SendFail(ctx, db.SendFailParams{EmailIds: ids, Attempts: []int32{one.Send.Attempt}})
	return len(ended) > 0, err
}

// markAlone stores the status of a message and its recipients.
func markAlone(ctx context.Context, tx *db.Queries, one *Settlement) error {
	ids, organizations := []uuid.UUID{one.Send.EmailID}, []uuid.UUID{one.Send.OrganizationID}
	var reached mail.Outcome
	var err error
	switch one.Result.Disposition {
	case Sent:
		reached = mail.OutcomeSent
		err = tx.EmailMarkSent(ctx, db.EmailMarkSentParams{
			Outcome: int16(reached), Ids: ids, OrganizationIds: organizations,
			ProviderMessageIds: []string{one.Result.ProviderMessageID}, SentAt: []time.Time{one.Result.At},
		})
	case Failed:
		reached = mail.OutcomeSendFailed
		err = tx.EmailMarkFailed(ctx, db.EmailMarkFailedParams{
			Outcome: int16(reached), Ids: ids, OrganizationIds: organizations, ErrorMessages: []string{one.Result.Reason},
		})
	default:
		return nil
	}
	if err != nil {
		return err
	}
	marks := db.RecipientSetOutcomeParams{Outcome: int16(reached)}
	for _, position := range one.Positions {
		marks.EmailIds = append(marks.EmailIds, one.Send.EmailID)
		marks.OrganizationIds = append(marks.OrganizationIds, one.Send.OrganizationID)
		marks.Positions = append(marks.Positions, position)
	}
	return tx.RecipientSetOutcome(ctx, marks)
}
