package rotation

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/idempotency"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/webhook"
)

// nextBatch seals the next rows of a table anew, and says whether there may be more.
type nextBatch func(ctx context.Context, tx *db.Queries) (batchResult, error)

type batchResult struct {
	Counts
	more bool
	// committed moves on to the rows that follow. A transaction that is repeated begins at the same row.
	committed func()
}

func (r *Rotation) webhooks(batch int32) nextBatch {
	var after uuid.UUID
	return func(ctx context.Context, tx *db.Queries) (batchResult, error) {
		found := batchResult{committed: func() {}}
		rows, err := tx.WebhookSealedList(ctx, db.WebhookSealedListParams{After: after, MaxRows: batch})
		if err != nil {
			return found, fmt.Errorf("read webhooks: %w", err)
		}
		for _, row := range rows {
			aad := webhook.SecretAAD(row.ID)
			secret, changed, err := r.reseal(row.SealedSecret, aad, &found.Counts)
			if err != nil {
				return found, err
			}
			previous, previousChanged, err := r.reseal(row.PreviousSealedSecret, aad, &found.Counts)
			if err != nil {
				return found, err
			}
			if !changed && !previousChanged {
				continue
			}
			err = tx.WebhookReseal(ctx, db.WebhookResealParams{
				OrganizationID: row.OrganizationID, ID: row.ID, SealedSecret: secret, PreviousSealedSecret: previous,
			})
			if err != nil {
				return found, fmt.Errorf("store the signing keys of a webhook: %w", err)
			}
		}
		if found.more = len(rows) == int(batch); found.more {
			found.committed = func() { after = rows[len(rows)-1].ID }
		}
		return found, nil
	}
}

func (r *Rotation) responses(batch int32) nextBatch {
	after := db.IdempotencyKeySealedListParams{AfterKeyHash: []byte{}, MaxRows: batch}
	return func(ctx context.Context, tx *db.Queries) (batchResult, error) {
		found := batchResult{committed: func() {}}
		rows, err := tx.IdempotencyKeySealedList(ctx, after)
		if err != nil {
			return found, fmt.Errorf("read idempotency keys: %w", err)
		}
		for _, row := range rows {
			body, changed, err := r.reseal(row.Body, idempotency.Key(row.KeyHash).AAD(), &found.Counts)
			if err != nil {
				return found, err
			}
			if !changed {
				continue
			}
			err = tx.IdempotencyKeyReseal(ctx, db.IdempotencyKeyResealParams{
				OrganizationID: row.OrganizationID, KeyHash: row.KeyHash, Body: body,
			})
			if err != nil {
				return found, fmt.Errorf("store a saved response: %w", err)
			}
		}
		if found.more = len(rows) == int(batch); found.more {
			last := rows[len(rows)-1]
			found.committed = func() { after.AfterOrganizationID, after.AfterKeyHash = last.OrganizationID, last.KeyHash }
		}
		return found, nil
	}
}

func isNotOpened(err error) bool { return errors.Is(err, sealed.ErrNotOpened) }
