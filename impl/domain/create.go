package domain

import (
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/store"
)

const (
	defaultSubdomain = "mail"
	// maxFull is how long a name may be in DNS (RFC 1035 section 2.3.4), without its final dot.
	maxFull = 253
	// maxName leaves room for "<32 characters>._domainkey.".
	maxName = maxFull - 44
	// firstCheckDelay is when a new domain is looked at without being asked.
	firstCheckDelay = time.Minute
	// createTimeout bounds what SES may take of a registration.
	createTimeout = 8 * time.Second
)

// Create registers a domain as Pending. An empty subdomain means "mail". It returns ErrExists, ErrLimit, and
// ErrInvalid for a name that cannot be registered. When SES is needed and not available nothing is stored.
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

// Prepared is a domain that could be registered a moment ago.
type Prepared struct{ insert db.DomainInsertParams }

// Prepare is the part of [Service.Create] that is done before any transaction: it asks SES.
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

// prepareIdentity sees to the identity of a domain that is about to be registered, unless that has to wait for
// the proof of ownership. The identity is stored before the domain, and whatever becomes of that: one that stays
// unused is swept.
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
	if _, _, err := s.touchIdentity(ctx, name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	_, err = s.createIdentity(ctx, name)
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

// Register is the rest of [Service.Create], in the caller's transaction.
func (s *Service) Register(ctx context.Context, tx *db.Queries, prepared Prepared) (View, error) {
	insert := prepared.insert
	// The lock makes the count hold until the commit.
	if err := tx.OrganizationLock(ctx, insert.OrganizationID); err != nil {
		return View{}, fmt.Errorf("register the domain: lock the organization: %w", err)
	}
	// The insert comes before the count, so that a name that exists is told from a limit that is reached.
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

// Get returns a domain as it was last checked.
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

// List returns the domains of an organization, the newest first.
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

// Delete removes a domain. Its identity is left to [Service.SweepIdentities].
func (s *Service) Delete(ctx context.Context, organization, id uuid.UUID) error {
	err := s.store.Tx(ctx, func(tx *db.Queries) error {
		name, err := tx.DomainDelete(ctx, db.DomainDeleteParams{OrganizationID: organization, ID: id})
		if store.IsNoRows(err) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("delete the row: %w", err)
		}
		// Whoever registers the name anew may choose another MAIL FROM.
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
