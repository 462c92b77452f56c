// Package sesevents turns the notifications of Amazon SES about messages into email events, statuses and
// suppressions.
//
//   - sesevents.go: [Recorder], its configuration, running and stopping
//   - notifications.go: claiming a notification, finding its message, storing what is new
//   - email_events.go: which email events follow from an event of SES
//   - reputation.go: bounces and complaints, for package reputation
package sesevents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/loglimit"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	defaultConcurrency = 16
	pollInterval       = time.Second
	matchTimeout       = 15 * time.Second
	// settleTimeout bounds putting a notification back.
	settleTimeout = 10 * time.Second
	// matchWindow is how long an event waits for its message to exist: it may arrive before our own commit.
	matchWindow = 7 * 24 * time.Hour
	// notificationRetention is how long the id of a settled notification is kept. SNS repeats for an hour at most; a
	// repetition that comes later than 48 hours finds its email events stored already.
	notificationRetention = 48 * time.Hour
	// setAsideRetention is how long what Postgres refused is kept for an operator.
	setAsideRetention = 90 * 24 * time.Hour
	// notificationBatchSize bounds how many notifications a statement deletes.
	notificationBatchSize = 5000
	// logInterval is the shortest time between two log lines about discarded events, for each reason.
	logInterval = time.Minute
)

// Observer receives what metrics need. Its function is called concurrently and must be quick.
type Observer interface {
	// EventStored is called with the time between an event at SES and its commit here.
	EventStored(lag time.Duration)
}

// Config of a [Recorder]. Store is required.
type Config struct {
	Store *store.Store
	// DrainTimeout bounds how long work goes on after the context of Run ended. Zero means until its lease ends.
	DrainTimeout time.Duration
	// Observer receives what metrics need. Nil means none.
	Observer Observer
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), concurrently. Nil means math/rand/v2.
	Random func() float64
	// Log receives what an operator should know; never an address. Nil means no log.
	Log *slog.Logger
}

// Recorder stores what notifications say. It can be run once.
type Recorder struct {
	config      Config
	queue       *workqueue.Runner[db.NotificationClaimRow]
	discardLogs *loglimit.Limiter
	discarded   discardCounts
}

// discardCounts counts the events that were discarded since the process began.
type discardCounts struct{ unreadable, foreign, expired atomic.Int64 }

// New returns a recorder that does nothing until it is run.
func New(config Config) (*Recorder, error) {
	if config.Store == nil {
		return nil, errors.New("sesevents: Store is required")
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
	r := &Recorder{config: config, discardLogs: loglimit.New(logInterval)}
	var err error
	r.queue, err = workqueue.New(workqueue.Config[db.NotificationClaimRow]{
		Name: "events", Claim: r.claim, Handle: r.handle, Concurrency: defaultConcurrency, PollInterval: pollInterval,
		DrainTimeout: config.DrainTimeout, Now: config.Now, Random: config.Random, Log: config.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the recording of events: %w", err)
	}
	return r, nil
}

// Run records events until ctx ends, and then finishes what is in flight.
func (r *Recorder) Run(ctx context.Context) {
	r.config.Store.ListenWhile(ctx, store.NotificationsChannel, func(string) { r.queue.Wake() }, r.queue.Run)
}

// RunOnce makes one claim, waits until its notifications are done, and returns how many there were.
func (r *Recorder) RunOnce(ctx context.Context) (int, error) { return r.queue.RunOnce(ctx) }

// Discarded returns how many events of SES were discarded since the process began, by reason.
func (r *Recorder) Discarded() map[string]int64 {
	return map[string]int64{
		"unreadable": r.discarded.unreadable.Load(), "foreign": r.discarded.foreign.Load(), "expired": r.discarded.expired.Load(),
	}
}
