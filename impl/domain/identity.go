package domain

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

// deferPercent is how much of the account's limit of identities may be used before new ones wait for proof of ownership. The
// rest is for names that are proven.
const deferPercent = 90

// touchIdentity protects a known identity from the sweep for the next identityIdleAge. It fails while the identity
// is being deleted: a domain built on it now would lose it.
func (s *Service) touchIdentity(ctx context.Context, name string) (identity db.Identity, found bool, err error) {
	identity, err = s.store.Queries().IdentityTouch(ctx, db.IdentityTouchParams{Name: name, Now: s.clock()})
	if store.IsNoRows(err) {
		return db.Identity{}, false, nil
	}
	if err != nil {
		return db.Identity{}, false, fmt.Errorf("claim the identity: %w", err)
	}
	if len(identity.DkimTokens) == 0 {
		return db.Identity{}, false, fmt.Errorf("claim the identity: %w", ErrBusy)
	}
	return identity, true, nil
}

// createIdentity creates the identity in SES, or reads an existing one, and stores it.
func (s *Service) createIdentity(ctx context.Context, name string) (db.Identity, error) {
	found, created, err := s.ses.CreateIdentity(ctx, name)
	if err != nil {
		return db.Identity{}, fmt.Errorf("create the identity: %w", err)
	}
	return s.storeIdentity(ctx, found, created)
}

// storeIdentity outlives its caller: an identity that SES has but the database lacks is never swept.
func (s *Service) storeIdentity(ctx context.Context, found ses.Identity, created bool) (db.Identity, error) {
	if len(found.DKIMTokens) == 0 {
		return db.Identity{}, fmt.Errorf("store the identity: %w", &ses.Error{
			Op: "GetEmailIdentity", Class: ses.Misconfigured,
			Detail: "The domain exists in the email service without Easy DKIM.",
		})
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	upsert := db.IdentityUpsertParams{
		Name: found.Name, Managed: created, DkimTokens: found.DKIMTokens, UsedAt: s.clock(),
	}
	if found.MailFromDomain != "" {
		upsert.MailFromDomain = &found.MailFromDomain
	}
	identity, err := s.store.Queries().IdentityUpsert(ctx, upsert)
	if err != nil {
		return db.Identity{}, fmt.Errorf("store the identity: %w", err)
	}
	return identity, nil
}

// provisionIdentity does what the first proof of ownership allows: it creates the identity if that had to wait, and
// sets the MAIL FROM if none is in force.
func (s *Service) provisionIdentity(ctx context.Context, row db.DomainGetRow) (db.DomainGetRow, error) {
	name := row.Domain.Name
	if row.Domain.OwnedAt == nil || len(row.DkimTokens) == 0 {
		identity, found, err := s.touchIdentity(ctx, name)
		if err == nil && !found {
			identity, err = s.createIdentity(ctx, name)
		}
		if err != nil {
			return row, err
		}
		row.DkimTokens, row.MailFromDomain = identity.DkimTokens, identity.MailFromDomain
	}
	if row.MailFromDomain != nil {
		return row, nil
	}
	mailFrom := row.Domain.MailFromSubdomain + "." + name
	identity, err := s.store.Queries().IdentityClaimMailFrom(ctx, db.IdentityClaimMailFromParams{Name: name, MailFromDomain: mailFrom})
	if store.IsNoRows(err) {
		err = ErrBusy
	}
	if err != nil {
		return row, fmt.Errorf("claim the MAIL FROM: %w", err)
	}
	row.MailFromDomain = identity.MailFromDomain
	if *identity.MailFromDomain != mailFrom {
		return row, nil // another organization set it first
	}
	if err := s.ses.SetMailFrom(ctx, name, mailFrom); err != nil {
		return row, fmt.Errorf("set the MAIL FROM: %w", err)
	}
	return row, nil
}

// sameTokens compares DKIM tokens as sets: SES promises no order.
func sameTokens(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// nearLimit reports whether a new identity has to wait for proof of ownership.
func (s *Service) nearLimit(ctx context.Context) (bool, error) {
	count, err := s.store.Queries().IdentityCount(ctx)
	if err != nil {
		return false, fmt.Errorf("count the identities: %w", err)
	}
	return count >= s.deferFrom, nil
}

// checkWithSES asks SES whether a domain with complete records can send, and restores what SES has lost.
func (s *Service) checkWithSES(ctx context.Context, row db.DomainGetRow) (db.DomainGetRow, bool, error) {
	name := row.Domain.Name
	found, err := s.ses.GetIdentity(ctx, name)
	lost := ses.ClassOf(err) == ses.NotFound
	if err != nil && !lost {
		return row, false, fmt.Errorf("read the identity: %w", err)
	}
	switch {
	case lost:
		s.log.WarnContext(ctx, "identity missing in SES; creating it again", slog.String("domain_id", row.Domain.ID.String()))
		identity, err := s.createIdentity(ctx, name)
		if err != nil {
			return row, false, err
		}
		row.DkimTokens = identity.DkimTokens
		found = ses.Identity{} // the next check finds out whether it can send
	case !sameTokens(found.DKIMTokens, row.DkimTokens):
		// It was created again outside this service: other records are wanted now.
		identity, err := s.storeIdentity(ctx, found, false)
		if err != nil {
			return row, false, err
		}
		row.DkimTokens = identity.DkimTokens
		found.VerifiedForSending = false
	}
	// SES stopped looking for the records, which appeared too late.
	if found.DKIMFailed {
		if err := s.ses.RestartDKIM(ctx, name); err != nil {
			return row, false, fmt.Errorf("restart DKIM: %w", err)
		}
	}
	// SES stops looking for the records of a failed MAIL FROM until it is set again.
	if wanted := row.MailFromDomain; wanted != nil && (found.MailFromDomain != *wanted || found.MailFromStatus == "FAILED") {
		if err := s.ses.SetMailFrom(ctx, name, *wanted); err != nil {
			return row, false, fmt.Errorf("set the MAIL FROM: %w", err)
		}
	}
	return row, found.VerifiedForSending, nil
}
