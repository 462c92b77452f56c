// Package domain registers sending domains and finds out whether they are proven.
//
//   - domain.go: [Service], what it needs, its errors
//   - records.go: [View], the DNS records of a domain
//   - create.go: registering, reading, deleting
//   - status.go: what becomes of a domain by what was found, and when to look again; pure
//   - lookup.go: looking the records up
//   - verify.go: [Service.Verify] and [Service.Recheck]
//   - webhook_events.go: telling webhooks
//   - identity.go: the identity that SES has of a domain
//   - sweep.go: deleting identities that nobody uses
//   - devzone.go: [DevZone], the DNS of development
//
// All organizations share one SES account, where a domain has one set of DKIM tokens and one MAIL FROM domain.
// The ownership record, different for each, tells organizations apart: until it is seen, nothing that an
// organization does changes an identity, or creates one below another organization's verified domain.
package domain

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// maxDomains is how many domains an organization may have.
	maxDomains = 100
	// maxVerifications bounds the verifications that run at once in this process.
	maxVerifications = 16
)

var (
	// ErrNotFound says that the organization has no such domain.
	ErrNotFound = errors.New("domain not found")
	// ErrExists says that the organization has the domain already.
	ErrExists = errors.New("domain exists")
	// ErrLimit says that the organization has 100 domains.
	ErrLimit = errors.New("domain limit reached")
	// ErrInvalid is wrapped around what is wrong with a name.
	ErrInvalid = errors.New("invalid domain")
)

// Identities are the identities of the SES account; *ses.Client has them.
type Identities interface {
	CreateIdentity(ctx context.Context, domain string) (identity ses.Identity, created bool, err error)
	GetIdentity(ctx context.Context, domain string) (ses.Identity, error)
	SetMailFrom(ctx context.Context, domain, mailFrom string) error
	RestartDKIM(ctx context.Context, domain string) error
	DeleteIdentity(ctx context.Context, domain string) error
}

// Resolver looks up records; *dns.Resolver is one. A record set that does not exist is an empty result; an error
// leaves the question open.
type Resolver interface {
	CNAME(ctx context.Context, name string) ([]string, error)
	TXT(ctx context.Context, name string) ([]string, error)
	MX(ctx context.Context, name string) ([]dns.MX, error)
}

// Config is what a [Service] needs.
type Config struct {
	Store *store.Store
	SES   Identities
	DNS   Resolver
	// Region of SES, which the MAIL FROM record names.
	Region string
	Now    func() time.Time // nil: time.Now
	Random io.Reader        // fit for secrets and safe for concurrent use; nil: crypto/rand
	Log    *slog.Logger     // nil: nothing is logged
}

// Service is the domains of all organizations. It is safe for concurrent use. Failures of SES are *ses.Error and
// those of the database errors of the store, both wrapped.
type Service struct {
	store  *store.Store
	ses    Identities
	dns    Resolver
	region string
	now    func() time.Time
	random io.Reader
	log    *slog.Logger

	verifications *semaphore.Weighted
	flights       singleflight.Group
}

// New makes a Service. It asks nobody anything yet.
func New(c Config) *Service {
	s := &Service{
		store:         c.Store,
		ses:           c.SES,
		dns:           c.DNS,
		region:        c.Region,
		now:           c.Now,
		random:        c.Random,
		log:           c.Log,
		verifications: semaphore.NewWeighted(maxVerifications),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// clock is the time as Postgres keeps it, so that what was stored compares equal to what is read.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func (s *Service) newID() (uuid.UUID, error) {
	id, err := uuid.NewV7FromReader(s.random)
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a domain id: %w", err)
	}
	return id, nil
}
