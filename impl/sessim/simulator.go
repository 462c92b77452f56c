// Package sessim simulates Amazon SES. It speaks the wire protocol of the SES API v2, refuses what SES refuses with
// SES's own errors, and keeps the accepted messages instead of delivering them. It serves development, tests and
// benchmarks.
//
//   - simulator.go: Config, New, the routes
//   - wire.go: requests, responses and errors as the AWS SDKs expect them
//   - identities.go, verify.go: identities, and the DNS records that verify them
//   - configuration_sets.go, suppressions.go, account.go, tenants.go: the other operations
//   - send.go, refuse.go, limits.go: SendEmail, the checks of a message, rate and daily quota
//   - event_destinations.go, events.go: the events of accepted messages, and where they go
//   - topics.go: SNS, SQS and STS at the same address, simulated by package snssim
//   - messages.go: the accepted messages, bounded in memory
//   - journal.go: the state as lines in a file, replayed by New
//   - faults.go, answers.go, control.go: injected faults, counts of lost responses, and the control API under /_sim/
//   - inbox.go: the accepted mail in a browser
//
// Every change of state is an entry, which is written to the journal and then applied. The response to a message is
// sent only after its entry is written, so killing the process loses no message that got a response. A crash of the
// machine may lose some, because nothing is synced to the disk.
package sessim

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/snssim"
)

const (
	defaultRegion       = "us-east-1"
	defaultMaxPerSecond = 100_000
	defaultKeepBodies   = 1_000
	// verificationWindow is how long SES looks for the records of a new identity, and how long it tolerates missing
	// records of a verified one.
	verificationWindow = 72 * time.Hour
)

// Resolver looks up the records that verify an identity. A record set that does not exist is an empty result; an
// error leaves the question open. *dns.Resolver implements it.
type Resolver interface {
	CNAME(ctx context.Context, name string) ([]string, error)
	TXT(ctx context.Context, name string) ([]string, error)
	MX(ctx context.Context, name string) ([]dns.MX, error)
}

// Config describes the simulated account.
type Config struct {
	Region   string           // empty means us-east-1
	Resolver Resolver         // nil means that every identity and MAIL FROM domain is verified at once
	Now      func() time.Time // nil means time.Now
	Random   io.Reader        // nil means crypto/rand
	Journal  string           // path of the journal; empty means that everything stays in memory
	// Max24Hour and MaxPerSecond are the account's quota and rate, counted in recipients, until the control API
	// changes them. Zero means no daily quota, and 100,000 a second.
	Max24Hour, MaxPerSecond float64
	// KeepBodies is how many of the newest messages are kept in memory in full. Zero means 1,000. Of the newest
	// million messages beyond those, only the ids are kept.
	KeepBodies int
	// LossGrace is how long an identity stays verified without its records. Zero means 72 hours, as with SES;
	// negative means not at all.
	LossGrace time.Duration
	// DeliverAll also reports delivery to addresses outside SES's mailbox simulator.
	DeliverAll bool
	// SigningKeyBits is the length of the RSA key that signs what SNS publishes. Zero means 2048, as with SNS; negative leaves
	// it unsigned.
	SigningKeyBits int
	// OnSend is called for every accepted message after it is journalled and before the response, by concurrent
	// requests. Nil means no call.
	OnSend func(Accepted)
	Log    *slog.Logger // nil means that nothing is logged
}

// Simulator is one SES account in one region, as an http.Handler. It is safe for concurrent use.
type Simulator struct {
	region    string
	resolver  Resolver
	now       func() time.Time
	lossGrace time.Duration
	onSend    func(Accepted)
	log       *slog.Logger
	mux       *http.ServeMux
	faults    faults
	closed    chan struct{}
	topics    *snssim.Simulator
	openTopic atomic.Pointer[string] // gets every event; nil means that there is none
	calls     calls
	offered   []string // the operations of SES
	answers   answers

	deliverAll bool

	randomMu sync.Mutex
	random   io.Reader

	mu      sync.RWMutex // guards everything below
	journal *journal
	state   state
}

// New starts a simulator with the state in its journal.
func New(c Config) (*Simulator, error) {
	s := &Simulator{
		region:    c.Region,
		resolver:  c.Resolver,
		now:       c.Now,
		lossGrace: c.LossGrace,
		onSend:    c.OnSend,
		log:       c.Log,
		random:    c.Random,
		closed:    make(chan struct{}),

		deliverAll: c.DeliverAll,
		state:      newState(c),
	}
	s.setDefaults()
	s.topics = snssim.New(snssim.Config{
		Region: s.region, Now: s.now, Log: s.log, Before: s.beforeTopics, Record: s.recordTopics, SigningKeyBits: c.SigningKeyBits,
	})
	s.state.topics = s.topics
	s.routes()
	if c.Journal == "" {
		return s, nil
	}
	s.state.replaying = true
	j, err := openJournal(c.Journal, s.state.apply)
	s.state.replaying = false
	if err != nil {
		s.topics.Close()
		return nil, fmt.Errorf("open the simulator's journal: %w", err)
	}
	s.journal = j
	return s, s.publishAgain()
}

func (s *Simulator) setDefaults() {
	if s.region == "" {
		s.region = defaultRegion
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
	switch {
	case s.lossGrace == 0:
		s.lossGrace = verificationWindow
	case s.lossGrace < 0:
		s.lossGrace = 0
	}
}

// Close ends hanging requests and the publishing of events, and closes the journal. Events that no web server has
// accepted yet are published by the next simulator with the same journal. Later sends fail.
func (s *Simulator) Close() error {
	left := s.topics.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return nil
	default:
	}
	var err error
	if len(left) > 0 {
		err = s.commit(entry{At: s.now().UTC(), Unposted: &left})
	}
	close(s.closed)
	if s.journal == nil {
		return err
	}
	return errors.Join(err, s.journal.close())
}

// ServeHTTP serves the SES API under /v2/, SNS, SQS and STS at /, and the control API under /_sim/.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Simulator) routes() {
	s.mux = http.NewServeMux()
	for pattern, op := range map[string]operation{
		"POST /v2/email/identities":                 {"CreateEmailIdentity", s.createIdentity},
		"POST /v2/email/list-identities":            {"ListEmailIdentities", s.listIdentities},
		"GET /v2/email/identities/{name}":           {"GetEmailIdentity", s.getIdentity},
		"DELETE /v2/email/identities/{name}":        {"DeleteEmailIdentity", s.deleteIdentity},
		"PUT /v2/email/identities/{name}/mail-from": {"PutEmailIdentityMailFromAttributes", s.putMailFrom},
		// Older SDKs have this route below /v1.
		"PUT /v1/email/identities/{name}/dkim/signing":                                {"PutEmailIdentityDkimSigningAttributes", s.putDKIMSigning},
		"PUT /v2/email/identities/{name}/dkim/signing":                                {"PutEmailIdentityDkimSigningAttributes", s.putDKIMSigning},
		"POST /v2/email/configuration-sets":                                           {"CreateConfigurationSet", s.createConfigurationSet},
		"POST /v2/email/list-configuration-sets":                                      {"ListConfigurationSets", s.listConfigurationSets},
		"GET /v2/email/configuration-sets/{name}":                                     {"GetConfigurationSet", s.getConfigurationSet},
		"DELETE /v2/email/configuration-sets/{name}":                                  {"DeleteConfigurationSet", s.deleteConfigurationSet},
		"PUT /v2/email/configuration-sets/{name}/suppression-options":                 {"PutConfigurationSetSuppressionOptions", s.putSuppressionOptions},
		"GET /v2/email/configuration-sets/{name}/event-destinations":                  {"GetConfigurationSetEventDestinations", s.listDestinations},
		"POST /v2/email/configuration-sets/{name}/event-destinations":                 {"CreateConfigurationSetEventDestination", s.createDestination},
		"PUT /v2/email/configuration-sets/{name}/event-destinations/{destination}":    {"UpdateConfigurationSetEventDestination", s.updateDestination},
		"DELETE /v2/email/configuration-sets/{name}/event-destinations/{destination}": {"DeleteConfigurationSetEventDestination", s.deleteDestination},
		"GET /v2/email/account":                                                       {"GetAccount", s.getAccount},
		"PUT /v2/email/account/sending":                                               {"PutAccountSendingAttributes", s.putAccountSending},
		"PUT /v2/email/suppression/addresses":                                         {"PutSuppressedDestination", s.putSuppressed},
		"GET /v2/email/suppression/addresses":                                         {"ListSuppressedDestinations", s.listSuppressed},
		"GET /v2/email/suppression/addresses/{name}":                                  {"GetSuppressedDestination", s.getSuppressed},
		"DELETE /v2/email/suppression/addresses/{name}":                               {"DeleteSuppressedDestination", s.deleteSuppressed},
		"POST /v2/email/tenants":                                                      {"CreateTenant", s.createTenant},
		"POST /v2/email/tenants/get":                                                  {"GetTenant", s.getTenant},
		"POST /v2/email/tenants/list":                                                 {"ListTenants", s.listTenants},
		"POST /v2/email/tenants/resources":                                            {"CreateTenantResourceAssociation", s.associateTenant},
		"POST /v2/email/outbound-emails":                                              {opSendEmail, s.sendEmail},
		"/":                                                                           {"Unknown", unknownOperation},
	} {
		s.mux.Handle(pattern, s.serve(op))
		if pattern != "/" && !slices.Contains(s.offered, op.name) {
			s.offered = append(s.offered, op.name)
		}
	}
	s.mux.Handle("GET "+snssim.CertificateRoute(), s.topics)
	s.mux.Handle("GET /{$}", s.topics)
	s.mux.Handle("POST /{$}", s.topics)
	s.controlRoutes()
}

// commit journals a change and applies it. The caller holds mu.
func (s *Simulator) commit(e entry) error {
	if s.journal != nil {
		line, err := e.line()
		if err != nil {
			return err
		}
		return s.commitLine(e, line)
	}
	return s.commitLine(e, nil)
}

// commitLine does what commit does, with the entry's line encoded beforehand, outside the lock.
func (s *Simulator) commitLine(e entry, line []byte) error {
	select {
	case <-s.closed:
		return errors.New("the simulator is closed")
	default:
	}
	if s.journal != nil {
		if err := s.journal.append(line); err != nil {
			return err
		}
	}
	s.state.apply(e)
	return nil
}

// randomBytes fills b. It locks because a test's source of randomness need not be safe for concurrent use.
func (s *Simulator) randomBytes(b []byte) error {
	s.randomMu.Lock()
	defer s.randomMu.Unlock()
	if _, err := io.ReadFull(s.random, b); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	return nil
}
