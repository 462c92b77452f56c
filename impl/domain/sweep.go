package domain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/gen/db"
)

const (
	// identityIdleAge is how long after its last use an identity may be swept. It is far longer than a registration
	// or a deletion can take, so that a sweep cannot meet one in flight.
	identityIdleAge = 10 * time.Minute
	// failedKept is how long the identity of a domain is kept that stays Failed. Verifying the domain later creates another one, with
	// other DKIM records.
	failedKept    = 30 * 24 * time.Hour
	sweepBatch    = 10
	deleteTimeout = 10 * time.Second
)

// SweepIdentities deletes the unused identities that we created, also the identities of domains that have been Failed for 30 days, and the
// unproven ones below another organization's verified domain. Any number of processes may sweep at once.
//
// The order is: mark the row, delete in SES, delete the row. A registration that finds the mark is refused for the
// moment. One that comes before the mark prevents it; one that comes after the deletion finds neither row nor
// identity. Without the mark, deleting either first would let a registration build on an identity that is about to
// go.
func (s *Service) SweepIdentities(ctx context.Context) error {
	for {
		now := s.clock()
		claimed, err := s.store.Queries().IdentityClaimUnused(ctx, db.IdentityClaimUnusedParams{
			Now: now, UnusedSince: now.Add(-identityIdleAge), FailedBefore: now.Add(-failedKept), MaxRows: sweepBatch,
		})
		if err != nil {
			return fmt.Errorf("claim unused identities: %w", err)
		}
		var failures error
		for _, identity := range claimed {
			failures = errors.Join(failures, s.deleteIdentity(ctx, identity, now))
		}
		if failures != nil || len(claimed) < sweepBatch {
			return failures
		}
	}
}

// deleteIdentity deletes a marked identity in SES and then its row. If SES fails, it restores the row. The identity
// may be gone nevertheless, if SES's response was lost; a later check or sweep finds out.
func (s *Service) deleteIdentity(ctx context.Context, identity db.IdentityClaimUnusedRow, claimedAt time.Time) error {
	sesCtx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	deleteErr := s.ses.DeleteIdentity(sesCtx, identity.Name)
	ctx, cancelFinish := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancelFinish()
	if deleteErr == nil {
		s.log.InfoContext(ctx, "unused identity deleted")
		err := s.store.Queries().IdentityDelete(ctx, db.IdentityDeleteParams{Name: identity.Name, ClaimedAt: claimedAt})
		if err != nil {
			return fmt.Errorf("forget an identity: %w", err)
		}
		return nil
	}
	s.log.WarnContext(ctx, "unused identity not deleted", slog.Any("error", deleteErr))
	failure := fmt.Errorf("delete an identity: %w", deleteErr)
	if len(identity.DkimTokens) == 0 {
		return failure // marked by a process that died; it stays marked
	}
	err := s.store.Queries().IdentityRestore(ctx, db.IdentityRestoreParams{
		Name: identity.Name, DkimTokens: identity.DkimTokens, ClaimedAt: claimedAt,
	})
	if err != nil {
		return errors.Join(failure, fmt.Errorf("keep the identity: %w", err))
	}
	return failure
}
