package takeover

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
)

const (
	sweepTimeout = 10 * time.Second
	// forgottenAfter is how long after the end of its lease a claim is forgotten that was stored after its worker was taken over.
	forgottenAfter = time.Hour
)

// sweep takes over what workers left whose locks were free at the last look too.
func (s *Session) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	ended, err := s.config.Store.Queries().WorkerEnded(ctx, s.id)
	if err != nil {
		s.complain(ctx, "looking for workers that ended failed", err)
		return
	}
	suspects := make(map[uuid.UUID]bool, len(ended))
	for _, id := range ended {
		if s.suspects[id] {
			if err = s.takeOver(ctx, id); err == nil {
				continue
			}
			s.complain(ctx, "taking over the work of a worker that ended failed", err)
		}
		suspects[id] = true
	}
	s.suspects = suspects
}

// taken is what a worker left.
type taken struct {
	organizations            []uuid.UUID // of the messages
	deliveries, domainChecks int64
}

func (s *Session) takeOver(ctx context.Context, worker uuid.UUID) error {
	var found taken
	now := s.config.Now()
	err := s.config.Store.Tx(ctx, func(tx *db.Queries) (err error) {
		found = taken{}
		locked, err := tx.WorkerTakeLock(ctx, worker)
		if err != nil || !locked {
			return err
		}
		return found.take(ctx, tx, worker, now)
	})
	if err != nil {
		return err
	}
	if len(found.organizations) > 0 {
		s.config.Store.NotifySends(now, found.organizations)
	}
	if found.deliveries > 0 {
		s.config.Store.NotifySoon(store.DeliveriesChannel)
	}
	if n := int64(len(found.organizations)) + found.deliveries + found.domainChecks; n > 0 {
		s.config.Log.InfoContext(ctx, "took over the work of a worker that ended", "worker_id", worker,
			"messages", len(found.organizations), "deliveries", found.deliveries, "domain_checks", found.domainChecks)
	}
	return nil
}

// take makes what a worker left due. Rows are locked in the order in which all others lock them.
func (f *taken) take(ctx context.Context, tx *db.Queries, worker uuid.UUID, now time.Time) (err error) {
	known, err := tx.WorkerDelete(ctx, worker)
	if err != nil || known == 0 {
		return err // another process was first
	}
	if f.organizations, err = tx.SendTakeOver(ctx, db.SendTakeOverParams{WorkerID: worker, Now: now}); err != nil {
		return fmt.Errorf("take over messages: %w", err)
	}
	if f.deliveries, err = tx.DeliveryTakeOver(ctx, db.DeliveryTakeOverParams{WorkerID: &worker, Now: now}); err != nil {
		return fmt.Errorf("take over deliveries: %w", err)
	}
	if f.domainChecks, err = tx.DomainCheckTakeOver(ctx, db.DomainCheckTakeOverParams{WorkerID: &worker, Now: now}); err != nil {
		return fmt.Errorf("take over domain checks: %w", err)
	}
	return tx.UnstartedSendDelete(ctx, db.UnstartedSendDeleteParams{WorkerID: worker, ForgottenBefore: now.Add(-forgottenAfter)})
}

func (s *Session) complain(ctx context.Context, what string, err error) {
	if s.logs.Allow(what, s.config.Now()) {
		s.config.Log.WarnContext(ctx, what, "error", err)
	}
}
