package reputation

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// countDelay is how long after a message's acceptance its recipients are counted. Ids are made before they are committed,
	// by clocks that need not agree, and a message that is older than those counted is never counted.
	countDelay = 2 * time.Minute
	// countPage bounds the messages of a transaction.
	countPage = 5000
)

// count counts the recipients of the messages accepted since the last run. It reports false when another process counts.
func (w *Watcher) count(ctx context.Context) (mine bool, err error) {
	for more := true; more; {
		err := w.Store.Tx(ctx, func(tx *db.Queries) error {
			mine, more, err = w.countPage(ctx, tx)
			return err
		})
		if err != nil {
			return false, fmt.Errorf("count recipients: %w", err)
		}
	}
	return mine, nil
}

// countPage counts the recipients of a page of messages, and reports whether there may be more.
func (w *Watcher) countPage(ctx context.Context, tx *db.Queries) (mine, more bool, err error) {
	from, err := tx.ReputationLock(ctx)
	if store.IsNoRows(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	to, err := tx.ReputationPageEnd(ctx, db.ReputationPageEndParams{
		CountedTo: from, Before: w.Now().Add(-countDelay), MaxRows: countPage,
	})
	if store.IsNoRows(err) {
		return true, false, nil
	}
	if err != nil {
		return true, false, err
	}
	rows, err := tx.ReputationListRecipients(ctx, db.ReputationListRecipientsParams{CountedTo: from, PageEnd: to, MaxRows: countPage})
	if err != nil {
		return true, false, err
	}
	if err := addRecipients(ctx, tx, rows); err != nil {
		return true, false, err
	}
	return true, true, tx.ReputationAdvance(ctx, to)
}

// bucket is a day of a domain of an organization.
type bucket struct {
	organization uuid.UUID
	domain       string
	day          int32
}

// addRecipients adds recipients to the sketches of their buckets.
func addRecipients(ctx context.Context, tx *db.Queries, rows []db.ReputationListRecipientsRow) error {
	if len(rows) == 0 {
		return nil
	}
	sketches, err := loadSketches(ctx, tx, rows)
	if err != nil {
		return err
	}
	var saved db.ReputationSaveSketchesParams
	for _, row := range rows {
		at := bucket{row.OrganizationID, row.Domain, row.Day}
		counted, known := sketches[at]
		if !known {
			if counted, err = newSketch(); err != nil {
				return err
			}
		}
		counted.add(row.Recipients)
		written, err := counted.bytes()
		if err != nil {
			return err
		}
		saved.OrganizationIds = append(saved.OrganizationIds, at.organization)
		saved.Domains = append(saved.Domains, at.domain)
		saved.Days = append(saved.Days, at.day)
		saved.Sketches = append(saved.Sketches, written)
	}
	return tx.ReputationSaveSketches(ctx, saved)
}

func loadSketches(ctx context.Context, tx *db.Queries, rows []db.ReputationListRecipientsRow) (map[bucket]sketch, error) {
	var wanted db.ReputationListSketchesParams
	for _, row := range rows {
		wanted.OrganizationIds = append(wanted.OrganizationIds, row.OrganizationID)
		wanted.Domains = append(wanted.Domains, row.Domain)
		wanted.Days = append(wanted.Days, row.Day)
	}
	stored, err := tx.ReputationListSketches(ctx, wanted)
	if err != nil {
		return nil, err
	}
	found := make(map[bucket]sketch, len(rows))
	for _, row := range stored {
		read, err := readSketch(row.Recipients)
		if err != nil {
			return nil, err
		}
		found[bucket{row.OrganizationID, row.Domain, row.Day}] = read
	}
	return found, nil
}
