// Package dispatch does what is due: it sends the accepted mail, looks at domains again, and keeps house.
//
//   - dispatch.go: Config, New, Run
//   - claim.go: which messages are next: claim and load a group; size.go: of how many at most
//   - mail.go: the work of one message: an attempt
//   - decide.go: what becomes of a message before the attempt, and after each answer of SES
//   - settle.go, commit.go: outcomes are stored in groups, with one transaction each
//   - governor.go: the account's sending rate and daily quota, shared by all workers
//   - brake.go: the pause that the whole process makes when the SES account has had enough
//   - ambiguous.go: waiting for SES to tell whether it took a message
//   - checks.go: domain checks
//   - deliveries.go: events posted to webhooks
//   - notifications.go: what SES reported becomes facts about messages; facts.go: which facts
//   - observe.go: what is told to those who watch
//   - chores.go: partitions, retention, unused identities; silence.go: mail of which SES says nothing
//
// The promise about webhooks: an event is delivered at least once while its webhook is enabled, or tried eight times over
// a day and kept as failed, always with the same id and bytes. The lane is the webhook, so that nobody waits for another's
// endpoint.
//
// The promise about mail: nothing that was accepted is lost, and a message can be sent twice only where an answer
// of SES never became our row: death, timeout, cut connection. Such an attempt is marked ambiguous before any
// other is made, and where SES reports what it takes, no other is made before it has had a minute to do so. No number of
// attempts ends a message; 72 hours do.
//
// There is no job queue library beside package due. What is left next to mail and webhooks is two due tables (domain
// checks, notifications) and some passes that any process may repeat at any time: too little to carry a second mechanism, its
// tables and its rules of recovery.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	defaultSendConcurrency  = 64
	defaultCheckConcurrency = 8
	// Deliveries mostly wait for others' machines.
	deliveryConcurrency          = 256
	deliveriesPerLane   = 8
	defaultDrainTimeout        = 25 * time.Second
	defaultContentRetention     = 30 * 24 * time.Hour
	defaultMessageRetention         = 400 * 24 * time.Hour
	channelSends        = "sends"
	channelDeliveries   = "deliveries"
	checksPerLane       = 2
	checkPoll           = time.Second
	drainShareOfSending = 0.8
)

// Sender makes one attempt to send a message. Errors are told apart by ses.ClassOf.
type Sender interface {
	Send(ctx context.Context, message ses.Message) (providerMessageID string, err error)
}

// Domains looks after the domains and their identities.
type Domains interface {
	// Recheck looks at a domain, stores what it finds, and returns when to look again. A domain that is gone is no
	// error.
	Recheck(ctx context.Context, organizationID, domainID uuid.UUID) (next time.Time, err error)
	// SweepIdentities removes the SES identities that nobody uses. Any process may do so at any time.
	SweepIdentities(ctx context.Context) error
}

// WebhookSender makes one attempt to deliver an event; *webhook.Sender does.
type WebhookSender interface {
	Send(ctx context.Context, delivery webhook.Delivery) webhook.Result
}

// Config of a dispatcher. Store, SES, Domains, Webhooks and Sealer are required.
type Config struct {
	Store    *store.Store
	SES      Sender
	Domains  Domains
	WebhookSender WebhookSender
	// FetchQuota asks SES what the account may send. nil: nothing is limited but by SES.
	FetchQuota func(ctx context.Context) (ses.Quota, error)
	// Sealer opens the signing keys of webhooks.
	Sealer *sealed.Sealer
	// SendConcurrency is how many messages are in hand at once: being sent, or sent and not yet stored. Their bodies are in
	// memory. 0: 64.
	SendConcurrency int
	// PollInterval is how long an idle dispatcher waits before it looks for mail again, if nothing notifies it. 0: 500 ms.
	PollInterval time.Duration
	// ContentRetention is how long bodies are kept, KeepRest how long messages, recipients and events are; both are
	// rounded up to whole months. 0: 30 and 400 days.
	ContentRetention, MessageRetention time.Duration
	// EventsExpected tells that SES is to report what became of the mail: it is logged when it does not. Whether or not it
	// is set, where reports arrive and nobody knows whether SES took a message, its report is waited for.
	EventsExpected bool
	// DrainTimeout is how long Run goes on after its context ended. The last fifth is for storing outcomes: sends
	// that are still without an answer then are cut off. 0: 25 seconds.
	DrainTimeout time.Duration
	// Observer is told what was done. nil: nobody is.
	Observer Observer
	// Tracer follows messages. nil: nobody does.
	Tracer Tracer
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), concurrently. nil: math/rand/v2.
	Random func() float64
	// Log receives what an operator should know; never an address, a body or a secret. nil: nothing is logged.
	Log *slog.Logger
}

// Dispatcher does due work until it is stopped. It can be run once.
type Dispatcher struct {
	config     Config
	mail       *workqueue.Runner[message]
	checks     *workqueue.Runner[domainCheck]
	deliveries *workqueue.Runner[db.DeliveryClaimRow]
	events     *workqueue.Runner[db.NotificationClaimRow]
	settler    *settler
	limiter   *sendLimiter
	size       *claimSize
	eventFlow    eventFlow
	throttleCooldown   *cooldown
	accountCooldown    *cooldown
	attemptLogs       *logLimiter
	operatorLogs      *logLimiter
	watchdog    eventWatchdog
	discarded    discardCounts
}

// New returns a dispatcher that does nothing until it is run.
func New(config Config) (*Dispatcher, error) {
	if config.Store == nil || config.SES == nil || config.Domains == nil || config.WebhookSender == nil || config.Sealer == nil {
		return nil, errors.New("dispatch: Store, SES, Domains, Webhooks and Sealer are required")
	}
	setDefaults(&config)
	d := &Dispatcher{
		config:   config,
		limiter: &sendLimiter{fetch: config.FetchQuota},
		size:     newClaimSize(int32(min(config.SendConcurrency, math.MaxInt32/2))),
		throttleCooldown: newCooldown(minThrottleCooldown, maxThrottleCooldown),
		accountCooldown:  newCooldown(minAccountCooldown, maxAccountCooldown),
		attemptLogs:     newLogLimiter(time.Minute),
		operatorLogs:    newLogLimiter(maxEventSilence),
	}
	d.settler = newSettler(config, d.settled, func() { d.mail.Wake() })
	drain := time.Duration(float64(config.DrainTimeout) * drainShareOfSending)
	var err error
	d.mail, err = workqueue.New(workqueue.Config[message]{
		Name: "mail", Claim: d.claimMail, Handle: d.handleMail, Concurrency: config.SendConcurrency, PollInterval: config.PollInterval, DrainTimeout: drain,
		Now: config.Now, Random: config.Random, Log: config.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up sending: %w", err)
	}
	d.checks, err = workqueue.New(workqueue.Config[domainCheck]{
		Name: "domain checks", Claim: d.claimChecks, Handle: d.handleDomainCheck, Concurrency: defaultCheckConcurrency, PerLane: checksPerLane,
		PollInterval: checkPoll, DrainTimeout: drain, Now: config.Now, Random: config.Random, Log: config.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up domain checks: %w", err)
	}
	d.events, err = workqueue.New(workqueue.Config[db.NotificationClaimRow]{
		Name: "events", Claim: d.claimNotifications, Handle: d.handleNotification, Concurrency: defaultConcurrency,
		PollInterval: matchPoll, DrainTimeout: drain, Now: config.Now, Random: config.Random, Log: config.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the matching of events: %w", err)
	}
	d.deliveries, err = workqueue.New(workqueue.Config[db.DeliveryClaimRow]{
		Name: "webhook deliveries", Claim: d.claimDeliveries, Handle: d.deliver, Concurrency: deliveryConcurrency, PerLane: deliveriesPerLane,
		PollInterval: config.PollInterval, DrainTimeout: drain, Now: config.Now, Random: config.Random, Log: config.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up webhook deliveries: %w", err)
	}
	return d, nil
}

func setDefaults(config *Config) {
	if config.SendConcurrency <= 0 {
		config.SendConcurrency = defaultSendConcurrency
	}
	if config.ContentRetention <= 0 {
		config.ContentRetention = defaultContentRetention
	}
	if config.MessageRetention <= 0 {
		config.MessageRetention = defaultMessageRetention
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

// Wake makes an idle dispatcher look for mail at once. It never blocks. Transactions that notify the channel
// "sends" wake every process by themselves.
func (d *Dispatcher) Wake() { d.mail.Wake() }

// Run does due work until ctx ends, then claims no more, finishes what is in hand, and returns within the drain
// timeout. It fails when outcomes could not be stored by then; their messages will be tried again as ambiguous.
func (d *Dispatcher) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d.config.DrainTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			d.settler.abort()
		case <-stopped:
		}
	})
	defer unwatch()
	defer close(stopped)
	var parts sync.WaitGroup
	parts.Go(func() { d.config.Store.Listen(ctx, channelSends, d.mail.Wake) })
	parts.Go(func() { d.mail.Run(ctx) })
	parts.Go(func() { d.checks.Run(ctx) })
	parts.Go(func() { d.config.Store.Listen(ctx, channelNotifications, d.events.Wake) })
	parts.Go(func() { d.events.Run(ctx) })
	parts.Go(func() { d.config.Store.Listen(ctx, channelDeliveries, d.deliveries.Wake) })
	parts.Go(func() { d.deliveries.Run(ctx) })
	for _, c := range d.jobs() {
		parts.Go(func() { d.runPeriodically(ctx, c) })
	}
	parts.Wait()
	if n := d.settler.pendingCount(); n > 0 {
		return fmt.Errorf("dispatch: the outcomes of %d messages could not be stored in time", n)
	}
	return nil
}

// RunOnce makes one claim of mail, one of domain checks, one of notifications and one of webhook deliveries, waits until
// they are done, and returns how many rows were claimed.
func (d *Dispatcher) RunOnce(ctx context.Context) (int, error) {
	sends, err := d.mail.RunOnce(ctx)
	if err != nil {
		return sends, err
	}
	checks, err := d.checks.RunOnce(ctx)
	if err != nil {
		return sends + checks, err
	}
	events, err := d.events.RunOnce(ctx)
	if err != nil {
		return sends + checks + events, err
	}
	deliveries, err := d.deliveries.RunOnce(ctx)
	return sends + checks + events + deliveries, err
}

// settled notes that mail went out, and has the domains checked that SES did not know, in a group of outcomes that was
// just stored.
func (d *Dispatcher) settled(ctx context.Context, group []*settlement) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	asked := map[uuid.UUID]bool{}
	for _, one := range group {
		d.observe(one)
		if one.result.disposition == sent {
			d.watchdog.mailSent(one.result.at)
		}
		if !one.result.recheckDomain || asked[one.domainID] {
			continue
		}
		asked[one.domainID] = true
		err := d.config.Store.Queries().DomainCheckUpsert(ctx, db.DomainCheckUpsertParams{
			DomainID: one.domainID, OrganizationID: one.send.OrganizationID, DueAt: d.config.Now(),
		})
		if err != nil {
			// The message comes due again, and asks again. A domain that was deleted just now has no checks.
			d.config.Log.WarnContext(ctx, "a domain cannot be scheduled for a check", "domain_id", one.domainID, "error", err)
			continue
		}
		d.checks.Wake()
	}
}
