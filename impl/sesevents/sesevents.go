// Package sesevents turns the notifications of Amazon SES about messages into email events, statuses and
// suppressions.
//
//   - sesevents.go: [Recorder], its configuration, running and stopping
//   - loop.go: what is due, group after group
//   - group.go: the transaction of a group: take notifications, find their messages, collect what they say
//   - refused.go: groups that Postgres refuses, down to the notification that it is about
//   - facts.go: the rows that follow from the events of a group; settle.go: what becomes of its notifications
//   - email_events.go: which email events follow from an event of SES
//   - reputation.go: bounces and complaints, for package reputation
//   - expired.go: what is kept, and for how long
//
// Storing a group is the same as storing its notifications one after the other, in any order, with any repetition, by any
// number of processes: events are facts about a message, each stored once, and the highest outcome stands.
package sesevents

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/voostack/mailstack/impl/loglimit"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/workqueue"
)

const (
	// maxGroupSize bounds how many notifications share a transaction, maxGroupBytes the memory for their bodies.
	maxGroupSize  = 256
	maxGroupBytes = 8 << 20
	pollInterval  = time.Second
	// busyPause is the wait for messages of which other transactions have a row. After busyLimit their events are put back, so
	// that they do not stand before others.
	busyPause = 5 * time.Millisecond
	busyLimit = time.Second
	// groupTimeout bounds the transaction of a group.
	groupTimeout = 15 * time.Second
	// dueSlack is how long before their event is stored deliveries may become due, in the order in which events happened.
	dueSlack = time.Second
	// settleTimeout bounds putting a notification back.
	settleTimeout = 10 * time.Second
	// The pause after a group that failed doubles from minRetryDelay to maxRetryDelay.
	minRetryDelay = 100 * time.Millisecond
	maxRetryDelay = 5 * time.Second
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
	// DrainTimeout bounds how long work goes on after the context of Run ended. Zero means until it ends by itself.
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
	config Config
	floor  *workqueue.Floor
	// wake is for the loop that records what arrives, wakeAnother for the one that helps it.
	wake, wakeAnother chan struct{}
	discardLogs       *loglimit.Limiter
	discarded         discardCounts
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
	return &Recorder{
		config: config, floor: workqueue.NewFloor(), wake: make(chan struct{}, 1), wakeAnother: make(chan struct{}, 1),
		discardLogs: loglimit.New(logInterval),
	}, nil
}

// Run records events until ctx ends, and then finishes the groups in hand. It records one group at a time, so that what
// arrives meanwhile forms the next one, and two while there is more than a group: one is read while the other is in Postgres.
func (r *Recorder) Run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if r.config.DrainTimeout > 0 {
		stop := context.AfterFunc(ctx, func() { time.AfterFunc(r.config.DrainTimeout, cancel) })
		defer stop()
	}
	r.config.Store.ListenWhile(ctx, store.NotificationsChannel, r.notified, func(ctx context.Context) {
		var running sync.WaitGroup
		running.Go(func() { r.loop(ctx, work, r.wake) })
		running.Go(func() { r.loop(ctx, work, r.wakeAnother) })
		running.Wait()
	})
}

func (r *Recorder) notified(payload string) {
	r.floor.Notified(payload)
	signal(r.wake)
}

// RunOnce records one group, and returns how many notifications it had.
func (r *Recorder) RunOnce(ctx context.Context) (int, error) {
	r.floor.Forget()
	done, err := r.recordDue(ctx, maxGroupSize)
	return done.taken, err
}

// Discarded returns how many events of SES were discarded since the process began, by reason.
func (r *Recorder) Discarded() map[string]int64 {
	return map[string]int64{
		"unreadable": r.discarded.unreadable.Load(), "foreign": r.discarded.foreign.Load(), "expired": r.discarded.expired.Load(),
	}
}
