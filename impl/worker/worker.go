// Package worker runs everything that happens to a message after its acceptance: sending, the recording of SES
// events, webhook deliveries, checks of domains, and maintenance.
//
//   - worker.go: [Worker], its configuration, running and stopping
//   - domain_checks.go: domains that are due for a check, or that SES refuses
//
// Three queues share one mechanism, package workqueue, over tables of their own; SES events need no lease. A job queue
// library would add a second mechanism, with its own tables and rules of recovery, and replace little: two due tables and
// some periodic jobs.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/deliveries"
	"github.com/voostack/mailstack/impl/maintenance"
	"github.com/voostack/mailstack/impl/reputation"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/sending"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sesevents"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/takeover"
	"github.com/voostack/mailstack/impl/tenancy"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	defaultDrainTimeout = 25 * time.Second
	// drainShareOfWork is the part of the drain timeout for work in flight; the rest is for storing its results.
	drainShareOfWork   = 0.8
	quotaInterval      = time.Minute
	eventCheckInterval = time.Minute
	sweepInterval      = 10 * time.Minute
	deleteInterval     = 10 * time.Minute
	reputationInterval = time.Minute
	tenantsInterval    = 2 * time.Minute
)

// Domains checks domains and maintains their SES identities.
type Domains interface {
	// Recheck checks a domain, stores what it finds, and returns when to check again. A deleted domain is no error.
	Recheck(ctx context.Context, organizationID, domainID uuid.UUID) (next time.Time, err error)
	// SweepIdentities removes the SES identities that no domain uses. Any process may call it at any time.
	SweepIdentities(ctx context.Context) error
}

// Observer receives what metrics need. Its functions are called concurrently and must be quick.
type Observer interface {
	sending.Observer
	sesevents.Observer
	maintenance.Observer
}

// Config of a [Worker]. Store, SES, Domains, WebhookSender and Sealer are required.
type Config struct {
	Store         *store.Store
	SES           sending.Provider
	Domains       Domains
	WebhookSender deliveries.Sender
	// FetchQuota reads from SES what the account may send. Nil means that only SES itself limits.
	FetchQuota func(ctx context.Context) (ses.Quota, error)
	// Sealer opens the signing keys of webhooks.
	Sealer *sealed.Sealer
	// SendConcurrency is how many messages are in flight at once; their bodies are in memory. Zero means 256.
	SendConcurrency int
	// PollInterval is how long an idle queue waits before it looks for work, unless it is notified.
	// Zero means 500 ms.
	PollInterval time.Duration
	// ContentRetention is how long bodies are kept, MessageRetention how long messages, recipients and events are.
	// Both are rounded up to whole months. Zero means 30 and 400 days.
	ContentRetention, MessageRetention time.Duration
	// EventsExpected makes the log warn when mail is sent and SES reports no events. Whatever its value, where
	// events arrive, a message that SES may have accepted waits for its event before the next attempt.
	EventsExpected bool
	// Tenants manages the tenants of organizations at SES. Nil means that there are none.
	Tenants *tenancy.Service
	// Reputation holds the rates of bounces and complaints at which organizations are warned or paused. Zero means never.
	Reputation reputation.Thresholds
	// DrainTimeout bounds how long Run goes on after its context ended. The last fifth is for storing results:
	// calls that are still in flight then are cut off. Zero means 25 seconds.
	DrainTimeout time.Duration
	// Observer receives what metrics need. Nil means none.
	Observer Observer
	// Tracer traces attempts. Nil means none.
	Tracer sending.Tracer
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), concurrently. Nil means math/rand/v2.
	Random func() float64
	// Log receives what an operator should know; never an address, a body or a secret. Nil means no log.
	Log *slog.Logger
}

// Worker does due work until it is stopped. It can be run once. Its exported parts can also be used alone.
type Worker struct {
	Sending    *sending.Sender
	Events     *sesevents.Recorder
	Deliveries *deliveries.Deliverer
	Retention  *maintenance.Retention
	Reputation *reputation.Watcher

	config       Config
	session      *takeover.Session
	domainChecks *workqueue.Runner[domainCheck]
}

// New returns a worker that does nothing until it is run.
func New(config Config) (*Worker, error) {
	if config.Store == nil || config.SES == nil || config.Domains == nil || config.WebhookSender == nil || config.Sealer == nil {
		return nil, errors.New("worker: Store, SES, Domains, WebhookSender and Sealer are required")
	}
	setDefaults(&config)
	w := &Worker{
		config: config,
		Retention: &maintenance.Retention{
			Store: config.Store, Contents: config.ContentRetention, Messages: config.MessageRetention, Now: config.Now, Log: config.Log,
		},
		Reputation: &reputation.Watcher{Store: config.Store, Thresholds: config.Reputation, Now: config.Now, Log: config.Log},
		session:    takeover.New(takeover.Config{Store: config.Store, Now: config.Now, Random: config.Random, Log: config.Log}),
	}
	drain := time.Duration(float64(config.DrainTimeout) * drainShareOfWork)
	var err error
	var forget func(context.Context, uuid.UUID) error
	if config.Tenants != nil {
		forget = config.Tenants.Forget
	}
	if w.Sending, err = sending.New(sending.Config{
		OnTenantRefused: forget,
		Store:           config.Store, SES: config.SES, Session: w.session, FetchQuota: config.FetchQuota, OnDomainNotReady: w.domainRefused,
		Concurrency: config.SendConcurrency, PollInterval: config.PollInterval, DrainTimeout: config.DrainTimeout,
		Observer: config.Observer, Tracer: config.Tracer, Now: config.Now, Random: config.Random, Log: config.Log,
	}); err != nil {
		return nil, err
	}
	if w.Events, err = sesevents.New(sesevents.Config{
		Store: config.Store, DrainTimeout: drain, Observer: config.Observer, Now: config.Now, Random: config.Random, Log: config.Log,
	}); err != nil {
		return nil, err
	}
	if w.Deliveries, err = deliveries.New(deliveries.Config{
		Store: config.Store, Sender: config.WebhookSender, Sealer: config.Sealer, Worker: w.session.Worker, PollInterval: config.PollInterval,
		DrainTimeout: drain, Now: config.Now, Random: config.Random, Log: config.Log,
	}); err != nil {
		return nil, err
	}
	if w.domainChecks, err = workqueue.New(workqueue.Config[domainCheck]{
		Name: "domain checks", Claim: w.claimChecks, Handle: w.handleDomainCheck, Concurrency: checkConcurrency,
		PerLane: checksPerLane, PollInterval: checkPollInterval, DrainTimeout: drain, Now: config.Now, Random: config.Random,
		Log: config.Log,
	}); err != nil {
		return nil, fmt.Errorf("set up domain checks: %w", err)
	}
	return w, nil
}

func setDefaults(config *Config) {
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

// Wake makes an idle worker look for mail at once. It never blocks. After a transaction that notifies the channel
// "sends" no call is needed: it wakes every process.
func (w *Worker) Wake() { w.Sending.Wake() }

// Run does due work until ctx ends, then claims no more, finishes what is in flight, and returns within the drain
// timeout. It returns an error when results of sends could not be stored by then; their messages will be tried
// again as ambiguous.
func (w *Worker) Run(ctx context.Context) error {
	defer w.live(ctx)()
	jobs := &maintenance.Runner{Jobs: w.jobs(), Random: w.config.Random, Observer: w.config.Observer, Log: w.config.Log}
	var running sync.WaitGroup
	for _, part := range []func(context.Context){w.domainChecks.Run, w.Events.Run, w.Deliveries.Run, jobs.Run} {
		running.Go(func() { part(ctx) })
	}
	err := w.Sending.Run(ctx)
	running.Wait()
	return err
}

// live keeps the session of this worker until the returned function is called, which waits for its end: after the drain.
func (w *Worker) live(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var living sync.WaitGroup
	living.Go(func() {
		w.session.Run(ctx, func() {
			w.Sending.Wake()
			w.Deliveries.Wake()
			w.domainChecks.Wake()
		})
	})
	return func() {
		cancel()
		living.Wait()
	}
}

// jobs returns the periodic jobs of all parts.
func (w *Worker) jobs() []maintenance.Job {
	jobs := append(w.Retention.Jobs(),
		maintenance.Job{Name: "watch reputation", Interval: reputationInterval, Run: w.Reputation.Run},
		maintenance.Job{Name: "sweep identities", Interval: sweepInterval, Run: w.config.Domains.SweepIdentities},
		maintenance.Job{Name: "delete expired notifications", Interval: deleteInterval, Run: w.Events.DeleteExpired},
		maintenance.Job{Name: "delete expired deliveries", Interval: deleteInterval, Run: w.Deliveries.DeleteExpired},
	)
	if w.config.Tenants != nil {
		jobs = append(jobs, maintenance.Job{Name: "sync SES tenants", Interval: tenantsInterval, Run: w.config.Tenants.Sync})
	}
	if w.config.EventsExpected {
		jobs = append(jobs, maintenance.Job{Name: "warn if no events", Interval: eventCheckInterval, Run: w.Sending.WarnIfNoEvents})
	}
	if w.config.FetchQuota != nil {
		jobs = append(jobs, maintenance.Job{Name: "refresh the quota", Interval: quotaInterval, Run: w.Sending.RefreshQuota})
	}
	return jobs
}

// RunOnce makes one claim of each queue, waits until they are done, and returns how many rows were claimed.
func (w *Worker) RunOnce(ctx context.Context) (int, error) {
	total := 0
	for _, once := range []func(context.Context) (int, error){
		w.Sending.RunOnce, w.domainChecks.RunOnce, w.Events.RunOnce, w.Deliveries.RunOnce,
	} {
		claimed, err := once(ctx)
		total += claimed
		if err != nil {
			return total, err
		}
	}
	return total, nil
}
