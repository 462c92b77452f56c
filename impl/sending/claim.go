package sending

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/workqueue"
)

// claimResult is what a claim came to: the messages in hand, and what it took of the quota for them.
type claimResult struct {
	group         []message
	deferred      int
	grant         grant
	local, shared float64
}

// claim claims a group and loads it in the same transaction, so that a group that cannot be loaded was never
// claimed. It claims nothing while SES has had enough, and while outcomes cannot be stored: a lease could run out
// under an outcome that waits, and the message would be sent twice. What cannot be loaded in time is asked for in
// smaller groups: as long as a claim goes on, the quota is locked for everybody.
func (s *Sender) claim(ctx context.Context, claim workqueue.ClaimRequest) ([]message, error) {
	if s.settler.isStalled() {
		return nil, nil
	}
	if wait := max(s.throttleCooldown.remaining(claim.Now), s.accountCooldown.remaining(claim.Now), s.limiter.pausedFor(claim.Now)); wait > 0 {
		s.wakeAfter(wait)
		return nil, nil
	}
	// A claim that has begun is finished although the process is told to stop: whether one that is cut off was committed
	// nobody knows, and its messages would wait for the end of their lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	expiredLeaseUntil := s.expiredLeaseUntil(ctx, claim.Now)
	claim.Total = s.claimSize.limit(claim.Total)
	var made claimResult
	err := s.config.Store.TxPipelined(ctx, func(tx *db.Queries) (err error) {
		made, err = s.claimWithin(ctx, tx, claim, expiredLeaseUntil)
		return err
	})
	if errors.Is(err, errNoQuota) {
		if err := s.RefreshQuota(ctx); err != nil {
			return nil, err
		}
		return s.claim(ctx, claim)
	}
	if err != nil {
		if ctx.Err() != nil {
			s.claimSize.shrink(made.grant.messages)
		}
		return nil, err
	}
	if len(made.group) > 0 {
		s.claimSize.grow()
	}
	if made.deferred > 0 {
		s.queue.Wake() // there may be more behind them
	}
	if s.limiter.fetch != nil {
		s.scheduleNextClaim(ctx, claim.Now, made)
	}
	return made.group, nil
}

func (s *Sender) claimWithin(ctx context.Context, tx *db.Queries, claim workqueue.ClaimRequest, expiredLeaseUntil *time.Time) (made claimResult, err error) {
	if made.grant, err = s.limiter.reserve(ctx, tx, claim.Now, claim.Total); err != nil || made.grant.messages == 0 {
		return made, err
	}
	rows, err := tx.SendClaim(ctx, db.SendClaimParams{
		Now: claim.Now, LeasedUntil: claim.LeasedUntil, Seed: claim.Seed, PerLane: claim.PerLane, MaxRows: made.grant.messages,
		ExpiredLeaseUntil: expiredLeaseUntil,
	})
	if err != nil {
		return made, fmt.Errorf("claim messages: %w", err)
	}
	rows, made.deferred = dropDeferred(rows)
	if len(rows) == 0 {
		return made, nil
	}
	group, err := s.load(ctx, tx, rows)
	if err != nil {
		return made, err
	}
	fits, recipients := made.grant.fit(group)
	if err := unclaim(ctx, tx, group[fits:]); err != nil {
		return made, err
	}
	made.group = group[:fits]
	made.local, made.shared, err = made.grant.spend(ctx, tx, recipients)
	return made, err
}

// scheduleNextClaim notes what a claim took, and when there will be more.
func (s *Sender) scheduleNextClaim(ctx context.Context, now time.Time, made claimResult) {
	if len(made.group) > 0 {
		s.limiter.setPrefetched(now, made.local, made.grant.row != nil)
	}
	row, left := made.grant.row, made.local+made.shared
	if made.grant.messages == 0 {
		left = made.grant.budget() // a part of one may be there already
	}
	switch {
	case row == nil || (made.grant.messages > 0 && (len(made.group) == 0 || left >= 1)):
	case row.DayLeft < 1:
		if s.operatorLogs.Allow("daily quota", now) {
			s.config.Log.ErrorContext(ctx, "the daily quota of the SES account is used up: mail waits until SES allows more")
		}
		s.pauseClaims(now, quotaPause)
	default:
		missing := 1 - min(made.grant.budget(), left)
		wait := time.Duration(min(1, missing/row.Rate) * float64(time.Second))
		s.pauseClaims(now, max(wait, backoff.Jitter(claimInterval, s.config.Random())))
	}
}

func (s *Sender) pauseClaims(now time.Time, wait time.Duration) {
	s.limiter.pauseUntil(now.Add(wait))
	s.wakeAfter(wait)
}

// wakeAfter has an idle dispatcher look for mail in a while, before it would do so by itself.
func (s *Sender) wakeAfter(wait time.Duration) { s.limiter.wakeAfter(wait, s.queue.Wake) }

// dropDeferred leaves out messages of expired leases that are deferred, and orders the rest by their turns.
func dropDeferred(rows []db.SendClaimRow) (ours []db.SendClaimRow, putOff int) {
	ours = slices.DeleteFunc(rows, func(row db.SendClaimRow) bool { return row.PutOff })
	slices.SortFunc(ours, func(a, b db.SendClaimRow) int { return cmp.Compare(a.Place, b.Place) })
	return ours, len(rows) - len(ours)
}

// postponeNotification gives back messages that the quota does not allow now.
func unclaim(ctx context.Context, tx *db.Queries, group []message) error {
	if len(group) == 0 {
		return nil
	}
	var rows db.SendUnclaimParams
	for _, m := range group {
		rows.EmailIds = append(rows.EmailIds, m.send.EmailID)
		rows.DueAt = append(rows.DueAt, m.send.WasDueAt)
	}
	if err := tx.SendUnclaim(ctx, rows); err != nil {
		return fmt.Errorf("put messages back: %w", err)
	}
	return nil
}

func (s *Sender) load(ctx context.Context, tx *db.Queries, sends []db.SendClaimRow) ([]message, error) {
	group := make([]message, len(sends))
	index := make(map[uuid.UUID]*message, len(sends))
	ids := make([]uuid.UUID, len(sends))
	organizations := make([]uuid.UUID, len(sends))
	for i, send := range sends {
		group[i].send = send
		index[send.EmailID] = &group[i]
		ids[i], organizations[i] = send.EmailID, send.OrganizationID
	}
	rows, err := tx.SendLoad(ctx, db.SendLoadParams{Ids: ids, OrganizationIds: organizations})
	if err != nil {
		return nil, fmt.Errorf("load messages: %w", err)
	}
	for i := range rows {
		index[rows[i].Email.ID].loaded = &rows[i]
	}
	recipients, err := tx.SendRecipients(ctx, db.SendRecipientsParams{EmailIds: ids, OrganizationIds: organizations})
	if err != nil {
		return nil, fmt.Errorf("load recipients: %w", err)
	}
	for _, recipient := range recipients {
		m := index[recipient.EmailID]
		m.recipients = append(m.recipients, recipient)
	}
	for i := range group {
		group[i].skip = s.preflight(ctx, &group[i])
	}
	return group, nil
}
