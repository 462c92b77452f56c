// Package domain registers sending domains and verifies that their owners have published the required DNS records.
//
//   - domain.go: [Service], its dependencies, its errors
//   - records.go: [View], the DNS records of a domain
//   - create.go: registering, reading, deleting
//   - status.go: the status that follows from a check, and when to check next; pure
//   - lookup.go: looking the records up
//   - verify.go: [Service.Verify] and [Service.Recheck]
//   - parking.go: the mail of a domain that SES refused, once SES says that it can send again
//   - webhook_events.go: webhook events about changes of status
//   - identity.go: the SES identity of a domain
//   - sweep.go: deleting unused identities
//   - devzone.go: [DevZone], the DNS of development
//
// All organizations share one SES account, where a domain has one set of DKIM tokens and one MAIL FROM domain. The
// ownership record differs for each organization and tells them apart. Until it is seen, nothing that an
// organization does changes an identity, or creates one below another organization's verified domain, or creates one at
// all while the account is near its limit of identities.
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
	// maxDomains bounds the domains of an organization.
	maxDomains = 100
	// maxVerifications bounds the concurrent verifications in this process.
	maxVerifications = 16
	// usualIdentityLimit is how many identities an account has in a region, unless AWS raises it.
	// https://docs.aws.amazon.com/ses/latest/dg/quotas.html
	usualIdentityLimit = 10_000
)

var (
	// ErrNotFound means that the organization has no such domain.
	ErrNotFound = errors.New("domain not found")
	// ErrExists means that the organization has the domain already.
	ErrExists = errors.New("domain exists")
	// ErrLimit means that the organization has 100 domains.
	ErrLimit = errors.New("domain limit reached")
	// ErrBusy means that an earlier registration of the domain is being removed; it passes within seconds.
	ErrBusy = errors.New("an earlier registration of the domain is being removed")
	// ErrInvalid wraps the reason why a name is invalid.
	ErrInvalid = errors.New("invalid domain")
)

// Identities manages the identities of the SES account; *ses.Client implements it.
type Identities interface {
	CreateIdentity(ctx context.Context, domain string) (identity ses.Identity, created bool, err error)
	GetIdentity(ctx context.Context, domain string) (ses.Identity, error)
	SetMailFrom(ctx context.Context, domain, mailFrom string) error
	RestartDKIM(ctx context.Context, domain string) error
	DeleteIdentity(ctx context.Context, domain string) error
}

// Resolver looks up records; *dns.Resolver implements it. A record set that does not exist is an empty result; an
// error leaves the question open.
type Resolver interface {
	CNAME(ctx context.Context, name string) ([]string, error)
	TXT(ctx context.Context, name string) ([]string, error)
	MX(ctx context.Context, name string) ([]dns.MX, error)
}

// Config configures a [Service].
type Config struct {
	Store *store.Store
	SES   Identities
	DNS   Resolver
	// Region is the AWS region of SES, which the MAIL FROM record contains.
	Region string
	// IdentityLimit is how many identities the account may have in the region. Zero means 10,000.
	IdentityLimit int
	Now           func() time.Time // nil means time.Now
	Random        io.Reader        // fit for secrets and safe for concurrent use; nil means crypto/rand
	Log           *slog.Logger     // nil means that nothing is logged
}

// Service manages the domains of all organizations. It is safe for concurrent use. Its errors wrap the *ses.Error
// of a failed SES call, or the store's error of a failed query.
type Service struct {
	store  *store.Store
	ses    Identities
	dns    Resolver
	region string
	// deferFrom is the count of identities from which a new one waits for proof of ownership.
	deferFrom int64
	now       func() time.Time
	random    io.Reader
	log       *slog.Logger

	verifications *semaphore.Weighted
	flights       singleflight.Group
}

// New returns a Service. It makes no calls.
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
	limit := c.IdentityLimit
	if limit <= 0 {
		limit = usualIdentityLimit
	}
	s.deferFrom = int64(limit) * deferPercent / 100
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

// clock returns the time with Postgres's precision, so that stored times equal the ones read back.
func (s *Service) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

func (s *Service) newID() (uuid.UUID, error) {
	id, err := uuid.NewV7FromReader(s.random)
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a domain id: %w", err)
	}
	return id, nil
}
