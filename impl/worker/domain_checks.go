package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	checkConcurrency  = 8
	checksPerLane     = 2
	checkPollInterval = time.Second
	// checkTimeout bounds one check of a domain, with all its records and its identity.
	checkTimeout = 30 * time.Second
	// A domain is parked after maxRefusals groups of messages that SES refused, with less than refusalWindow between two.
	maxRefusals   = 3
	refusalWindow = 10 * time.Minute
	// settleTimeout bounds storing when the next check is due.
	settleTimeout = 10 * time.Second
)

// domainCheck is a claimed check of a domain.
type domainCheck struct {
	row         db.DomainCheckClaimRow
	leasedUntil time.Time
}

func (w *Worker) claimChecks(ctx context.Context, claim workqueue.ClaimRequest) ([]domainCheck, error) {
	worker, ready := w.session.Worker()
	if !ready {
		return nil, nil
	}
	rows, err := w.config.Store.Queries().DomainCheckClaim(ctx, db.DomainCheckClaimParams{
		Now: claim.Now, LeasedUntil: claim.LeasedUntil, Seed: claim.Seed, PerLane: claim.PerLane, MaxRows: claim.Total, WorkerID: worker,
	})
	if err != nil {
		return nil, fmt.Errorf("claim domain checks: %w", err)
	}
	claimed := make([]domainCheck, len(rows))
	for i, row := range rows {
		claimed[i] = domainCheck{row: row, leasedUntil: claim.LeasedUntil}
	}
	return claimed, nil
}

func (w *Worker) handleDomainCheck(ctx context.Context, c domainCheck) {
	next, err := w.runDomainCheck(ctx, c)
	if err != nil {
		w.config.Log.WarnContext(ctx, "a domain could not be checked", "domain_id", c.row.DomainID, "error", err)
		next = w.config.Now().Add(backoff.After(c.row.Attempt, w.config.Random()))
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	_, settleErr := w.config.Store.Queries().DomainCheckSettle(settle, db.DomainCheckSettleParams{
		DomainID: c.row.DomainID, DueAt: next, Failed: err != nil, LeasedUntil: c.leasedUntil,
	})
	if settleErr != nil {
		// The lease expires and the domain is checked once more, which is harmless.
		w.config.Log.WarnContext(ctx, "a domain check could not be settled", "domain_id", c.row.DomainID, "error", settleErr)
	}
}

func (w *Worker) runDomainCheck(ctx context.Context, c domainCheck) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	next, err := w.config.Domains.Recheck(ctx, c.row.OrganizationID, c.row.DomainID)
	if err != nil {
		return time.Time{}, fmt.Errorf("check a domain: %w", err)
	}
	return next, nil
}

// domainRefused counts that SES refused to send for a domain, and makes a check of the domain due now. After a few refusals
// the domain is parked: its messages take nothing of the rate any more, and the check decides when they are tried again.
func (w *Worker) domainRefused(ctx context.Context, organizationID, domainID uuid.UUID) {
	now := w.config.Now()
	refusals, err := w.config.Store.Queries().DomainRefuse(ctx, db.DomainRefuseParams{
		OrganizationID: organizationID, ID: domainID, Now: now, Since: now.Add(-refusalWindow), MaxRefusals: maxRefusals,
	})
	switch {
	case store.IsNoRows(err):
		return // it was deleted just now, and its checks with it
	case err != nil:
		w.config.Log.WarnContext(ctx, "a refusal of SES could not be counted", "domain_id", domainID, "error", err)
	case refusals == maxRefusals:
		w.config.Log.WarnContext(ctx, "SES refuses to send for a verified domain: its mail waits for a check of the domain", "domain_id", domainID)
	}
	w.scheduleDomainCheck(ctx, organizationID, domainID)
}

// scheduleDomainCheck makes a check of a domain due now, after SES did not know the domain.
func (w *Worker) scheduleDomainCheck(ctx context.Context, organizationID, domainID uuid.UUID) {
	err := w.config.Store.Queries().DomainCheckUpsert(ctx, db.DomainCheckUpsertParams{
		DomainID: domainID, OrganizationID: organizationID, DueAt: w.config.Now(),
	})
	if err != nil {
		// The message comes due again and schedules the check again. A domain that was deleted just now has no
		// checks.
		w.config.Log.WarnContext(ctx, "a domain check could not be scheduled", "domain_id", domainID, "error", err)
		return
	}
	w.domainChecks.Wake()
}
