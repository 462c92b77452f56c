package domain

import (
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

const (
	defaultSubdomain = "mail"
	// maxFull bounds a name in the DNS (RFC 1035, section 2.3.4), without its final dot.
	maxFull = 253
	// maxName leaves space for "<32 characters>._domainkey.".
	maxName = maxFull - 44
	// firstCheckDelay is the wait before a new domain's first check in the background.
	firstCheckDelay = time.Minute
	// createTimeout bounds SES's part of a registration.
	createTimeout = 8 * time.Second
)

// Create registers a domain as Pending. An empty subdomain means "mail". It returns ErrExists, ErrLimit, or
// ErrInvalid for a name that cannot be registered. If it needs SES and SES is unavailable, nothing is stored.
func (s *Service) Create(ctx context.Context, organization uuid.UUID, name, mailFromSubdomain string) (View, error) {
	prepared, err := s.Prepare(ctx, organization, name, mailFromSubdomain)
	if err != nil {
		return View{}, err
	}
	var view View
	err = s.store.Tx(ctx, func(tx *db.Queries) (err error) {
		view, err = s.Register(ctx, tx, prepared)
		return err
	})
	return view, err
}

// Prepared is a domain that has passed the checks of [Service.Prepare].
type Prepared struct{ insert db.DomainInsertParams }

// Prepare is the part of [Service.Create] that runs before any transaction, because it calls SES.
func (s *Service) Prepare(ctx context.Context, organization uuid.UUID, name, mailFromSubdomain string) (Prepared, error) {
	name, subdomain, err := parseNames(name, mailFromSubdomain)
	if err != nil {
		return Prepared{}, err
	}
	queries := s.store.Queries()
	exists, err := queries.DomainExists(ctx, db.DomainExistsParams{OrganizationID: organization, Name: name})
	if err != nil {
		return Prepared{}, fmt.Errorf("look for the domain: %w", err)
	}
	if exists {
		return Prepared{}, ErrExists
	}
	if err := checkLimit(ctx, queries, organization); err != nil {
		return Prepared{}, err
	}
	if err := s.prepareIdentity(ctx, organization, name); err != nil {
		return Prepared{}, err
	}
	insert, err := s.newDomain(organization, name, subdomain)
	return Prepared{insert}, err
}

func parseNames(name, subdomain string) (domain, label string, err error) {
	if domain, err = mail.ParseDomain(name); err != nil {
		return "", "", fmt.Errorf("%w: the domain %w", ErrInvalid, err)
	}
	if len(domain) > maxName {
		return "", "", fmt.Errorf("%w: the domain leaves no room for its DKIM records", ErrInvalid)
	}
	if subdomain == "" {
		subdomain = defaultSubdomain
	}
	if label, err = mail.ParseLabel(subdomain); err != nil {
		return "", "", fmt.Errorf("%w: the MAIL FROM subdomain %w", ErrInvalid, err)
	}
	if len(label+"."+domain) > maxFull {
		return "", "", fmt.Errorf("%w: the MAIL FROM domain is longer than %d octets", ErrInvalid, maxFull)
	}
	return domain, label, nil
}

func checkLimit(ctx context.Context, queries *db.Queries, organization uuid.UUID) error {
	count, err := queries.DomainCount(ctx, organization)
	if err != nil {
		return fmt.Errorf("count the domains: %w", err)
	}
	if count >= maxDomains {
		return ErrLimit
	}
	return nil
}

// prepareIdentity makes sure that the domain to be registered has an identity, unless that has to wait for proof of
// ownership: below another organization's domain, near the account's limit of identities, or where SES says that the limit is
// reached. The identity is stored before the domain. If the domain is then not stored, the identity is unused and
// swept.
func (s *Service) prepareIdentity(ctx context.Context, organization uuid.UUID, name string) error {
	taken, err := s.store.Queries().DomainVerifiedElsewhere(ctx, db.DomainVerifiedElsewhereParams{
		OrganizationID: organization, Names: mail.Parents(name),
	})
	if err != nil {
		return fmt.Errorf("look for verified domains of others: %w", err)
	}
	if taken {
		return nil
	}
	_, found, err := s.touchIdentity(ctx, name)
	if err != nil {
		return err
	}
	if !found {
		if near, err := s.nearLimit(ctx); err != nil || near {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	_, err = s.createIdentity(ctx, name)
	if ses.ClassOf(err) == ses.QuotaExceeded {
		s.log.WarnContext(ctx, "the account's limit of identities is reached: new domains wait for proof of ownership", slog.Any("error", err))
		return nil
	}
	return err
}

func (s *Service) newDomain(organization uuid.UUID, name, subdomain string) (db.DomainInsertParams, error) {
	id, err := s.newID()
	if err != nil {
		return db.DomainInsertParams{}, err
	}
	var secret [20]byte // 32 characters of base32
	if _, err := io.ReadFull(s.random, secret[:]); err != nil {
		return db.DomainInsertParams{}, fmt.Errorf("make an ownership token: %w", err)
	}
	return db.DomainInsertParams{
		ID:                id,
		OrganizationID:    organization,
		Name:              name,
		MailFromSubdomain: subdomain,
		OwnershipToken:    ownershipValue + strings.ToLower(base32.StdEncoding.EncodeToString(secret[:])),
		Now:               s.clock(),
	}, nil
}

// Register is the second part of [Service.Create], in the caller's transaction.
func (s *Service) Register(ctx context.Context, tx *db.Queries, prepared Prepared) (View, error) {
	insert := prepared.insert
	// The lock keeps the count valid until the commit.
	if err := tx.OrganizationLock(ctx, insert.OrganizationID); err != nil {
		return View{}, fmt.Errorf("register the domain: lock the organization: %w", err)
	}
	// Insert before counting, so that an existing name is reported as such even when the limit is reached.
	if _, err := tx.DomainInsert(ctx, insert); store.Constraint(err) == store.ConstraintDomainsName {
		return View{}, ErrExists
	} else if err != nil {
		return View{}, fmt.Errorf("register the domain: %w", err)
	}
	count, err := tx.DomainCount(ctx, insert.OrganizationID)
	if err != nil {
		return View{}, fmt.Errorf("count the domains: %w", err)
	}
	if count > maxDomains {
		return View{}, ErrLimit
	}
	err = tx.DomainCheckUpsert(ctx, db.DomainCheckUpsertParams{
		DomainID: insert.ID, OrganizationID: insert.OrganizationID, DueAt: insert.Now.Add(firstCheckDelay),
	})
	if err != nil {
		return View{}, fmt.Errorf("have the domain checked: %w", err)
	}
	row, err := read(ctx, tx, insert.OrganizationID, insert.ID)
	if err != nil {
		return View{}, err
	}
	return newView(row, s.region)
}

// Get returns a domain in the state of its last check.
func (s *Service) Get(ctx context.Context, organization, id uuid.UUID) (View, error) {
	row, err := read(ctx, s.store.Queries(), organization, id)
	if err != nil {
		return View{}, err
	}
	return newView(row, s.region)
}

func read(ctx context.Context, queries *db.Queries, organization, id uuid.UUID) (db.DomainGetRow, error) {
	row, err := queries.DomainGet(ctx, db.DomainGetParams{OrganizationID: organization, ID: id})
	if store.IsNoRows(err) {
		return db.DomainGetRow{}, ErrNotFound
	}
	if err != nil {
		return db.DomainGetRow{}, fmt.Errorf("read the domain: %w", err)
	}
	return row, nil
}

// List returns the domains of an organization, newest first.
func (s *Service) List(ctx context.Context, organization uuid.UUID) ([]View, error) {
	rows, err := s.store.Queries().DomainList(ctx, organization)
	if err != nil {
		return nil, fmt.Errorf("list the domains: %w", err)
	}
	views := make([]View, 0, len(rows))
	for _, row := range rows {
		view, err := newView(db.DomainGetRow(row), s.region)
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, nil
}

// Delete removes a domain. [Service.SweepIdentities] removes its identity later.
func (s *Service) Delete(ctx context.Context, organization, id uuid.UUID) error {
	err := s.store.Tx(ctx, func(tx *db.Queries) error {
		name, err := tx.DomainDelete(ctx, db.DomainDeleteParams{OrganizationID: organization, ID: id})
		if store.IsNoRows(err) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("delete the row: %w", err)
		}
		// The next organization to register the name may choose another MAIL FROM.
		if err := tx.IdentityReleaseMailFrom(ctx, name); err != nil {
			return fmt.Errorf("release the MAIL FROM: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete the domain: %w", err)
	}
	return nil
}
