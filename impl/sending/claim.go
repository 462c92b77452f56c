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
	"github.com/voostack/mailstack/impl/sending/results"
	"github.com/voostack/mailstack/impl/sending/sendlimit"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	// claimInterval is the pause after a claim found no quota. What a worker holds at once is thus about 25 ms of
	// the rate, and a new message waits behind no more than that.
	claimInterval = 25 * time.Millisecond
	// quotaPause is the pause after a claim found the daily quota used up.
	quotaPause = 5 * time.Second
)

// claimResult is the result of a claim: its messages, how many it deferred, and the quota that is left after it,
// prefetched by this process (local) and in the row (shared).
type claimResult struct {
	group         []message
	deferred      int
	grant         sendlimit.Grant
	local, shared float64
	seen          scanned
}

// claim claims a group and loads it in the same transaction, so that a group that cannot be loaded was never
// claimed. Bodies, which can be large, are read after it: the transaction may have locked the quota for all workers. It
// claims nothing during a cooldown or pause, nor while results cannot be stored: the lease of a waiting result could expire,
// and the message would be sent twice. After a claim that ran out of time, the next groups are smaller: a claim locks the
// quota for all workers until it ends.
func (s *Sender) claim(ctx context.Context, claim workqueue.ClaimRequest) ([]message, error) {
	worker, ready := s.worker()
	if !ready || s.settler.IsStalled() {
		return nil, nil
	}
	if wait := max(s.throttleCooldown.Remaining(claim.Now), s.accountCooldown.Remaining(claim.Now), s.limiter.PausedFor(claim.Now)); wait > 0 {
		s.wakeAfter(wait)
		return nil, nil
	}
	// A claim that has begun is finished even when the process is stopping: a claim that is cut off may have been
	// committed, and its messages would wait for the end of their lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), results.CommitTimeout)
	defer cancel()
	expiredLeaseUntil := s.eventFlow.ExpiredLeaseUntil(ctx, claim.Now)
	claim.Total = s.claimSize.limit(claim.Total)
	began := time.Now()
	lanes, floors, err := s.lanes.Due(ctx, claim.Now)
	if err != nil || len(lanes) == 0 {
		return nil, err
	}
	var made claimResult
	err = s.config.Store.TxPipelined(ctx, func(tx *db.Queries) (err error) {
		if made, err = s.claimWithin(ctx, tx, claim, expiredLeaseUntil, lanes, floors); err != nil {
			return err
		}
		return noteUnstarted(ctx, tx, worker, claim.LeasedUntil, made.group)
	})
	if errors.Is(err, sendlimit.ErrNoQuota) {
		if err := s.RefreshQuota(ctx); err != nil {
			return nil, err
		}
		return s.claim(ctx, claim)
	}
	if err != nil {
		if ctx.Err() != nil {
			s.claimSize.shrink(made.grant.Messages)
		}
		return nil, err
	}
	s.noteScan(claim, made.seen)
	if s.config.Observer != nil {
		s.config.Observer.Claimed(time.Since(began))
	}
	if len(made.group) > 0 {
		s.claimSize.grow()
		made.group = s.start(ctx, worker, claim.LeasedUntil, made.group)
	}
	if made.deferred > 0 {
		s.queue.Wake() // the deferred messages may have hidden others that are due
	}
	if s.limiter.IsLimited() {
		s.scheduleNextClaim(ctx, claim.Now, made)
	}
	return made.group, nil
}

func (s *Sender) claimWithin(
	ctx context.Context, tx *db.Queries, claim workqueue.ClaimRequest, expiredLeaseUntil *time.Time, lanes []uuid.UUID, floors []time.Time,
) (made claimResult, err error) {
	if made.grant, err = s.limiter.Reserve(ctx, tx, claim.Now, claim.Total); err != nil || made.grant.Messages == 0 {
		return made, err
	}
	small, large := s.bodies.room()
	rows, err := tx.SendClaim(ctx, db.SendClaimParams{
		Lanes: lanes, Floors: floors, Now: claim.Now, LeasedUntil: claim.LeasedUntil, Seed: claim.Seed, PerLane: claim.PerLane, MaxRows: made.grant.Messages,
		ExpiredLeaseUntil: expiredLeaseUntil, ExpiredBefore: claim.Now.Add(time.Minute - MaxMessageAge), Large: largeBody, LargeRoom: large, SmallRoom: small,
	})
	if err != nil {
		return made, fmt.Errorf("claim messages: %w", err)
	}
	made.seen = scanned{lanes: lanes, all: sawAll(len(lanes), len(rows), made.grant.Messages, small, large), rows: slices.Clone(rows)}
	rows, made.deferred = dropDeferred(rows)
	if len(rows) == 0 {
		return made, nil
	}
	group, err := s.load(ctx, tx, rows)
	if err != nil {
		return made, err
	}
	fits, recipients := made.grant.Fit(costs(group))
	if err := unclaim(ctx, tx, group[fits:]); err != nil {
		return made, err
	}
	made.group, made.seen.back = group[:fits], group[fits:]
	made.local, made.shared, err = made.grant.Spend(ctx, tx, recipients)
	return made, err
}

// scheduleNextClaim stores what a claim has prefetched. When the quota is used up, it pauses claims until there is
// more.
func (s *Sender) scheduleNextClaim(ctx context.Context, now time.Time, made claimResult) {
	if len(made.group) > 0 {
		s.limiter.SetPrefetched(now, made.local, made.grant.Row != nil)
	}
	row, left := made.grant.Row, made.local+made.shared
	if made.grant.Messages == 0 {
		left = made.grant.Budget() // a fraction of one recipient may be available already
	}
	switch {
	case row == nil || (made.grant.Messages > 0 && (len(made.group) == 0 || left >= 1)):
	case row.DayLeft < 1:
		if s.operatorLogs.Allow("daily quota", now) {
			s.config.Log.ErrorContext(ctx, "the daily quota of the SES account is used up: mail waits until SES allows more")
		}
		s.pauseClaims(now, quotaPause)
	default:
		missing := 1 - min(made.grant.Budget(), left)
		wait := time.Duration(min(1, missing/row.Rate) * float64(time.Second))
		s.pauseClaims(now, max(wait, backoff.Jitter(claimInterval, s.config.Random())))
	}
}

func (s *Sender) pauseClaims(now time.Time, wait time.Duration) {
	s.limiter.PauseUntil(now.Add(wait))
	s.wakeAfter(wait)
}

// wakeAfter makes an idle sender look for mail after wait, before its next poll.
func (s *Sender) wakeAfter(wait time.Duration) { s.limiter.WakeAfter(wait, s.queue.Wake) }

// dropDeferred removes the messages whose lease expired and that the claim deferred. It returns the others in the
// order of their turns, and the number removed.
func dropDeferred(rows []db.SendClaimRow) (ours []db.SendClaimRow, putOff int) {
	ours = slices.DeleteFunc(rows, func(row db.SendClaimRow) bool { return row.PutOff })
	slices.SortFunc(ours, func(a, b db.SendClaimRow) int { return cmp.Compare(a.Place, b.Place) })
	return ours, len(rows) - len(ours)
}

// unclaim puts back messages that the quota does not allow now.
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
