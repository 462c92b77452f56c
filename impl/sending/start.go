package sending

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

func (s *Sender) worker() (id *uuid.UUID, ready bool) {
	if s.config.Session == nil {
		return nil, true
	}
	return s.config.Session.Worker()
}

// noteUnstarted stores, with a claim, that none of its messages is started.
func noteUnstarted(ctx context.Context, tx *db.Queries, worker *uuid.UUID, leasedUntil time.Time, group []message) error {
	if worker == nil || len(group) == 0 {
		return nil
	}
	if err := tx.UnstartedSendInsert(ctx, db.UnstartedSendInsertParams{
		WorkerID: *worker, LeasedUntil: leasedUntil, EmailIds: idsOf(group),
	}); err != nil {
		return fmt.Errorf("note what is not started: %w", err)
	}
	return nil
}

// start begins the attempts of a claim: it notes that its messages may be at SES from now on, and reads their bodies
// meanwhile. It returns the messages that are to be sent: none when the session of this worker has ended, since another
// worker may have taken them over.
func (s *Sender) start(ctx context.Context, worker *uuid.UUID, leasedUntil time.Time, group []message) []message {
	if worker == nil {
		s.holdBodies(ctx, group)
		return group
	}
	var reading sync.WaitGroup
	reading.Go(func() { s.holdBodies(ctx, group) })
	err := s.config.Session.Start(ctx, *worker, leasedUntil)
	reading.Wait()
	if err == nil {
		return group
	}
	for i := range group {
		s.releaseBody(&group[i])
	}
	if s.attemptLogs.Allow("start", s.config.Now()) {
		s.config.Log.WarnContext(ctx, "claimed messages are put back, because the session of this worker ended", "messages", len(group), "error", err)
	}
	s.putBack(ctx, *worker, group)
	return nil
}

// putBack makes messages due that were not started, if they were not taken over. Where that fails, they come due when they
// are, or when their leases end.
func (s *Sender) putBack(ctx context.Context, worker uuid.UUID, group []message) {
	now := s.config.Now()
	rows := db.SendPostponeParams{EmailIds: idsOf(group)}
	for _, m := range group {
		rows.Attempts = append(rows.Attempts, m.send.Attempt)
		rows.DueAt = append(rows.DueAt, m.send.WasDueAt)
		rows.Ambiguous = append(rows.Ambiguous, 0)
	}
	err := s.config.Store.Tx(ctx, func(tx *db.Queries) error {
		if err := tx.SendLock(ctx, rows.EmailIds); err != nil {
			return fmt.Errorf("lock due rows: %w", err)
		}
		return tx.SendPostpone(ctx, rows)
	})
	if err != nil && s.attemptLogs.Allow("put back", now) {
		s.config.Log.WarnContext(ctx, "claimed messages could not be put back", "messages", len(group), "worker_id", worker, "error", err)
	}
	for _, m := range group {
		s.lanes.Lower(m.send.OrganizationID, m.send.WasDueAt)
	}
	s.queue.Wake()
}

func idsOf(group []message) []uuid.UUID {
	ids := make([]uuid.UUID, len(group))
	for i, m := range group {
		ids[i] = m.send.EmailID
	}
	return ids
}
