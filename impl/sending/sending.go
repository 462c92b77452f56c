// Package sending sends accepted mail through Amazon SES.
//
//   - sending.go: [Sender], its configuration, running and stopping
//   - claim.go: which messages are next; claim_size.go: how many one claim may ask for; lanes.go: where it begins
//   - start.go: from a claim to attempts; what a lost session does to it
//   - body_budget.go: how many bytes of bodies may be in memory; bodies.go: reading them
//   - preflight.go: checks again what acceptance checked
//   - attempt.go: one attempt for one message
//   - retry_policy.go: what follows from each response of SES
//   - tenant.go: refusals that are about the tenant of an organization
//   - observe.go: what metrics and traces receive
//
// Packages below it keep within the account's rate and quota (sendlimit), pause the process after SES refused the account
// (breaker), watch whether SES reports what it accepted (eventflow), and store results (results).
//
// No accepted message is lost. A message can be sent twice only where a response of SES never became our row: the
// process died, the call timed out, or the connection was cut. Such an attempt is marked ambiguous before the next
// one, and where SES reports what it accepts, the next attempt waits a minute for that event. Attempts end 72
// hours after acceptance, however many there were.
package sending

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/loglimit"
	"github.com/voostack/mailstack/impl/sending/breaker"
	"github.com/voostack/mailstack/impl/sending/eventflow"
	"github.com/voostack/mailstack/impl/sending/results"
	"github.com/voostack/mailstack/impl/sending/sendlimit"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	defaultConcurrency  = 256
	defaultDrainTimeout = 25 * time.Second
	// drainShareOfSending is the part of the drain timeout for calls that are in flight; the rest is for storing
	// results.
	drainShareOfSending = 0.8
	// operatorLogInterval is how often the log repeats what an operator must do.
	operatorLogInterval = 10 * time.Minute
)

// Provider makes one attempt to send a message. ses.ClassOf classifies its errors.
type Provider interface {
	Send(ctx context.Context, message ses.Message) (providerMessageID string, err error)
}

// Session is the session of Postgres by which a worker lives. A message that was claimed and not started is given to
// another worker when the session ends; nothing is started after that. *takeover.Session is one.
type Session interface {
	// Worker returns the id to claim under; nil means that leases end by time alone. ready is false while nothing may be
	// claimed.
	Worker() (id *uuid.UUID, ready bool)
	// Start notes that the messages of a claim may be at SES from now on. When it fails, none may be sent.
	Start(ctx context.Context, worker uuid.UUID, leasedUntil time.Time) error
}

// Config of a [Sender]. Store and SES are required.
type Config struct {
	Store *store.Store
	SES   Provider
	// Session is the session of this process. Nil means that leases end by time alone.
	Session Session
	// FetchQuota reads from SES what the account may send. Nil means that only SES itself limits.
	FetchQuota func(ctx context.Context) (ses.Quota, error)
	// OnDomainNotReady is called once for each domain that SES did not know, after the results of a group are
	// stored. Nil means nothing is done.
	OnDomainNotReady func(ctx context.Context, organizationID, domainID uuid.UUID)
	// OnTenantRefused is called when SES did not take a message because of the tenant that it named. Nil means that such a
	// refusal is taken to be about the account.
	OnTenantRefused func(ctx context.Context, organizationID uuid.UUID) error
	// Concurrency is how many messages are in flight at once: being sent, or sent and not yet stored. Fewer are while
	// their bodies are large. Zero means 256.
	Concurrency int
	// PollInterval is how long an idle sender waits before it looks for mail, unless it is notified.
	// Zero means 500 ms.
	PollInterval time.Duration
	// DrainTimeout bounds how long Run goes on after its context ended. The last fifth is for storing results:
	// calls that are still in flight then are cut off. Zero means 25 seconds.
	DrainTimeout time.Duration
	// Observer receives what metrics need. Nil means none.
	Observer Observer
	// Tracer traces attempts. Nil means none.
	Tracer Tracer
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), concurrently. Nil means math/rand/v2.
	Random func() float64
	// Log receives what an operator should know; never an address, a body or a secret. Nil means no log.
	Log *slog.Logger
}

// Sender claims due messages and sends them. It can be run once.
type Sender struct {
	config           Config
	queue            *workqueue.Runner[message]
	settler          *results.Settler
	limiter          *sendlimit.Limiter
	claimSize        *claimSize
	bodies           bodyBudget
	lanes            *workqueue.Lanes
	eventFlow        *eventflow.Flow
	throttleCooldown *breaker.Cooldown
	accountCooldown  *breaker.Cooldown
	rejections       breaker.Rejections
	pausedTenants    breaker.Rejections
	attemptLogs      *loglimit.Limiter
	operatorLogs     *loglimit.Limiter
	watchdog         *eventflow.Watchdog
}

// New returns a sender that does nothing until it is run.
func New(config Config) (*Sender, error) {
	if config.Store == nil || config.SES == nil {
		return nil, errors.New("sending: Store and SES are required")
	}
	setDefaults(&config)
	s := &Sender{
		config:           config,
		limiter:          sendlimit.New(config.Store, config.FetchQuota),
		claimSize:        newClaimSize(int32(min(config.Concurrency, math.MaxInt32/2))),
		eventFlow:        eventflow.NewFlow(config.Store),
		watchdog:         eventflow.NewWatchdog(config.Store, config.Log),
		throttleCooldown: breaker.NewCooldown(minThrottleCooldown, maxThrottleCooldown),
		accountCooldown:  breaker.NewCooldown(minAccountCooldown, maxAccountCooldown),
		attemptLogs:      loglimit.New(time.Minute),
		operatorLogs:     loglimit.New(operatorLogInterval),
	}
	s.lanes = workqueue.NewLanes(s.surveyLanes, func(err error) {
		config.Log.Warn("looking for organizations with messages failed", "error", err)
	})
	s.settler = results.New(results.Config{Store: config.Store, Now: config.Now, Log: config.Log}, s.settled, func() { s.queue.Wake() })
	var err error
	s.queue, err = workqueue.New(workqueue.Config[message]{
		Name: "mail", Claim: s.claim, Handle: s.handle, Concurrency: config.Concurrency, PollInterval: config.PollInterval,
		DrainTimeout: time.Duration(float64(config.DrainTimeout) * drainShareOfSending),
		Now:          config.Now, Random: config.Random, Log: config.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up sending: %w", err)
	}
	return s, nil
}

func setDefaults(config *Config) {
	if config.Concurrency <= 0 {
		config.Concurrency = defaultConcurrency
	}
	if config.DrainTimeout <= 0 {
		config.DrainTimeout = defaultDrainTimeout
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Random == nil {
		config.Random = rand.Float64
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
}

// Wake makes an idle sender look for mail at once. It never blocks. After a transaction that notifies the channel
// "sends" no call is needed: it wakes every process.
func (s *Sender) Wake() { s.queue.Wake() }

// Run sends due mail until ctx ends, then claims no more, finishes what is in flight, and returns within the drain
// timeout. It returns an error when results could not be stored by then; their messages will be tried again as
// ambiguous.
func (s *Sender) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(s.config.DrainTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			s.settler.Abort()
		case <-stopped:
		}
	})
	defer unwatch()
	defer close(stopped)
	s.config.Store.ListenWhile(ctx, store.SendsChannel, s.notified, s.queue.Run)
	s.lanes.Wait()
	if n := s.settler.PendingCount(); n > 0 {
		return fmt.Errorf("sending: the results of %d messages could not be stored in time", n)
	}
	return nil
}

// RunOnce makes one claim, waits until its messages are done, and returns how many there were.
func (s *Sender) RunOnce(ctx context.Context) (int, error) {
	s.lanes.Forget()
	return s.queue.RunOnce(ctx)
}

func (s *Sender) notified(payload string) {
	s.lanes.Notified(payload)
	s.queue.Wake()
}

// RefreshQuota reads from SES what the account may send, and stores it. When that fails and no quota is stored
// yet, it stores an assumed rate.
func (s *Sender) RefreshQuota(ctx context.Context) error { return s.limiter.Refresh(ctx) }

// WarnIfNoEvents logs a warning when mail has gone out for 10 minutes and SES has reported nothing.
func (s *Sender) WarnIfNoEvents(ctx context.Context) error {
	return s.watchdog.Check(ctx, s.config.Now())
}

// settled passes a group of results that was just stored to the observer and the watchdog, and calls
// OnDomainNotReady once for each domain that needs it.
func (s *Sender) settled(ctx context.Context, group []*results.Settlement) {
	ctx, cancel := context.WithTimeout(ctx, results.CommitTimeout)
	defer cancel()
	asked := map[uuid.UUID]bool{}
	for _, one := range group {
		s.observe(one)
		if one.Result.Disposition == results.Sent {
			s.watchdog.MailSent(one.Result.At)
		}
		if !one.Result.RecheckDomain || asked[one.DomainID] || s.config.OnDomainNotReady == nil {
			continue
		}
		asked[one.DomainID] = true
		s.config.OnDomainNotReady(ctx, one.Send.OrganizationID, one.DomainID)
	}
}
