// Package deliveries posts events to the webhooks of organizations.
//
//   - deliveries.go: [Deliverer], its configuration, running, stopping and retention
//   - attempt.go: claiming, one attempt, and what it means for the delivery
//   - settle.go: storing results in groups; commit.go: a group in one transaction, and what it means for webhooks
//   - slots.go: how many deliveries of each organization are in flight
//   - lanes.go: where a claim begins in the deliveries of each webhook, and in their leases
//
// While its webhook is enabled, an event is delivered at least once, or tried eight times over a day and kept as
// failed. Every attempt has the same id and bytes. The lane (the fairness key) is the webhook, in turn within its
// organization.
//
// An endpoint that hangs or is slow must not delay another organization's. So its webhook has one delivery in flight
// ([webhook.Concurrency]), takes no slots from webhooks whose endpoints answer within a second, and no organization
// may have more slots than it leaves free.
package deliveries

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/loglimit"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	// quickSlots and otherSlots bound how many deliveries are in flight to quick endpoints and to others. They are many
	// because a delivery mostly waits for the endpoint.
	quickSlots = 512
	otherSlots = 256
	// failingReserve is how many of the others' slots endpoints that fail leave free for new and for moderate ones.
	failingReserve = 64
	// keyRetry is the wait after a signing key could not be read, which the operator has to fix.
	keyRetry    = 5 * time.Minute
	logInterval = time.Minute
	// retention is how long deliveries are kept, with their attempts.
	retention = 30 * 24 * time.Hour
	// deleteBatchSize bounds how many deliveries a statement deletes.
	deleteBatchSize = 1000

	reasonGone           = "The endpoint answered 410 Gone."
	reasonFailingForDays = "Every delivery failed for 5 days."
)

// Sender makes one attempt to deliver an event; *webhook.Sender does.
type Sender interface {
	Send(ctx context.Context, delivery webhook.Delivery) webhook.Result
}

// Config of a [Deliverer]. Store, Sender and Sealer are required.
type Config struct {
	Store  *store.Store
	Sender Sender
	// Sealer opens the signing keys of webhooks.
	Sealer *sealed.Sealer
	// Worker returns the id of the worker under which deliveries are claimed; nil means that leases end by time alone. ready
	// is false while nothing may be claimed. Nil means that leases end by time alone.
	Worker func() (id *uuid.UUID, ready bool)
	// PollInterval is how long an idle deliverer waits before it looks for work, unless it is notified.
	// Zero means 500 ms.
	PollInterval time.Duration
	// DrainTimeout bounds how long work goes on after the context of Run ended. Zero means until its lease ends.
	DrainTimeout time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), concurrently. Nil means math/rand/v2.
	Random func() float64
	// Log receives what an operator should know; never a payload or a secret. Nil means no log.
	Log *slog.Logger
}

// Deliverer posts due deliveries. It can be run once.
type Deliverer struct {
	config  Config
	queue   *workqueue.Runner[db.DeliveryClaimRow]
	slots   *slots
	lanes   *workqueue.Lanes
	leases  leaseFloors
	settler *settler
	keyLogs *loglimit.Limiter
}

// New returns a deliverer that does nothing until it is run.
func New(config Config) (*Deliverer, error) {
	if config.Store == nil || config.Sender == nil || config.Sealer == nil {
		return nil, errors.New("deliveries: Store, Sender and Sealer are required")
	}
	if config.Worker == nil {
		config.Worker = func() (*uuid.UUID, bool) { return nil, true }
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
	d := &Deliverer{config: config, slots: newSlots(), keyLogs: loglimit.New(logInterval)}
	d.lanes = workqueue.NewLanesWithHeads(d.surveyLanes, d.heads, func(err error) {
		config.Log.Warn("looking for webhooks with deliveries failed", slog.Any("error", err))
	})
	d.settler = &settler{commit: d.commit, random: config.Random, log: config.Log}
	var err error
	d.queue, err = workqueue.New(workqueue.Config[db.DeliveryClaimRow]{
		Name: "webhook deliveries", Claim: d.claim, Handle: d.handle, Concurrency: quickSlots + otherSlots,
		ClaimAfterWork: true, PollInterval: config.PollInterval, DrainTimeout: config.DrainTimeout, Now: config.Now, Random: config.Random,
		Log: config.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up webhook deliveries: %w", err)
	}
	return d, nil
}

// Wake makes an idle deliverer look for work at once. It never blocks.
func (d *Deliverer) Wake() { d.queue.Wake() }

// Run delivers until ctx ends, and then finishes what is in flight.
func (d *Deliverer) Run(ctx context.Context) {
	d.config.Store.ListenWhile(ctx, store.DeliveriesChannel, d.notified, d.queue.Run)
	d.lanes.Wait()
}

// RunOnce makes one claim, waits until its deliveries are done, and returns how many there were.
func (d *Deliverer) RunOnce(ctx context.Context) (int, error) {
	d.lanes.Forget()
	return d.queue.RunOnce(ctx)
}

// DeleteExpired deletes deliveries after 30 days, and pending deliveries of deleted webhooks.
func (d *Deliverer) DeleteExpired(ctx context.Context) error {
	queries := d.config.Store.Queries()
	before := d.config.Now().Add(-retention)
	for _, remove := range []func() (int64, error){
		func() (int64, error) {
			return queries.DeliveryDeleteExpired(ctx, db.DeliveryDeleteExpiredParams{Before: before, MaxRows: deleteBatchSize})
		},
		func() (int64, error) { return queries.DeliveryDeleteOrphaned(ctx, deleteBatchSize) },
	} {
		for {
			deleted, err := remove()
			if err != nil {
				return fmt.Errorf("delete expired deliveries: %w", err)
			}
			if deleted < deleteBatchSize {
				break
			}
		}
	}
	return nil
}
