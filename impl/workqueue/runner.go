// Package due does work that is kept as rows of a table: what is to be done, when, and who does it at present.
// It knows neither the table nor the work; both are functions that it is given.
//
//   - runner.go: claim what is due, hand it to a bounded number of goroutines, claim again
//   - slots.go: how many items are in hand
//
// The rules of the rows: a claim takes rows whose due_at has come, in turn over their lanes (those who must not
// hold up each other), counts the attempt and moves due_at to the end of the lease, and is committed before any
// work begins. Whoever does the work settles it in the row, as long as the attempt is still theirs. A process that
// dies settles nothing, so its rows come due again when their leases end, and any process takes them over.
package workqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// DefaultLease is how long claimed work belongs to the process that claimed it.
	DefaultLease = 60 * time.Second
	// defaultMargin is the end of a lease that is kept for settling: work is cancelled before it.
	defaultMargin       = 15 * time.Second
	defaultConcurrency  = 16
	defaultPollInterval = 500 * time.Millisecond
	// The pause after a claim that failed grows from the first to the longest.
	minRetryDelay = 100 * time.Millisecond
	maxRetryDelay = 5 * time.Second
)

// ClaimRequest says what to claim: rows due at Now, at most PerLane of a lane and Total in all.
type ClaimRequest struct {
	Now time.Time
	// LeasedUntil is whole microseconds, as Postgres stores it, so that a row can be asked for by it.
	LeasedUntil time.Time
	// Seed is different for every claim. It orders the lanes when there are more than can be served.
	Seed           int64
	PerLane, Total int32
}

// Config says what work there is and how it is done. Claim and Handle are required.
type Config[T any] struct {
	// Name says in the log which work it is.
	Name string
	// ClaimRequest takes due rows and commits that. It returns at most Total items.
	Claim func(ctx context.Context, claim ClaimRequest) ([]T, error)
	// Handle does the work of one item and settles it. Its context ends a margin before the lease does, or when a
	// stopping engine has waited long enough. An item keeps its slot until Handle returns, so work that cannot be
	// settled stops the claiming by itself.
	Handle func(ctx context.Context, item T)
	// Concurrency is how many items are in hand at once, at most. 0: 16.
	Concurrency int
	// PerLane is how many items of one lane a claim takes, at most. 0: as many as there are slots.
	PerLane int
	// Lease is how long an item is ours. 0: 60 seconds, of which the last quarter is kept for settling.
	Lease time.Duration
	// PollInterval is how long an idle engine waits before it looks again, unless it is woken. 0: 500 ms.
	PollInterval time.Duration
	// DrainTimeout is how long work goes on after the engine was told to stop, before it is cancelled. 0: until its
	// lease ends.
	DrainTimeout time.Duration
	// Now is the clock of the rows. nil: time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), concurrently. nil: math/rand/v2.
	Random func() float64
	// Log receives what an operator should know. nil: nothing is logged.
	Log *slog.Logger
}

// Runner claims work and has it done. It is safe for concurrent use.
type Runner[T any] struct {
	config Config[T]
	slots  *slots
	wake   chan struct{}
}

// New returns an engine that does nothing until it is run.
func New[T any](config Config[T]) (*Runner[T], error) {
	if config.Claim == nil || config.Handle == nil {
		return nil, errors.New("due: an engine needs Claim and Handle")
	}
	setDefaults(&config)
	return &Runner[T]{config: config, slots: newSlots(config.Concurrency), wake: make(chan struct{}, 1)}, nil
}

func setDefaults[T any](config *Config[T]) {
	if config.Concurrency <= 0 {
		config.Concurrency = defaultConcurrency
	}
	if config.PerLane <= 0 {
		config.PerLane = config.Concurrency
	}
	if config.Lease <= 0 {
		config.Lease = DefaultLease
	}
	if config.PollInterval <= 0 {
		config.PollInterval = defaultPollInterval
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

// Wake makes an idle engine look at once. It never blocks.
func (e *Runner[T]) Wake() {
	select {
	case e.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run claims and works until ctx ends, and then waits for what is in hand.
func (e *Runner[T]) Run(ctx context.Context) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := e.cancelAfterDrain(ctx, cancel)
	defer stop()
	var inFlight sync.WaitGroup
	defer inFlight.Wait()
	wait := minRetryDelay
	for ctx.Err() == nil {
		claimed, err := e.claimAndStart(ctx, work, &inFlight)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			e.config.Log.ErrorContext(ctx, "due work cannot be claimed", "work", e.config.Name, "error", err, "retry_in", wait.String())
			e.waitAfterError(ctx, wait)
			wait = min(2*wait, maxRetryDelay)
		case claimed > 0:
			// There may be more: whether a claim was full cannot be told from its size when lanes are bounded.
			wait = minRetryDelay
		default:
			wait = minRetryDelay
			e.waitIdle(ctx, e.jitter(e.config.PollInterval))
		}
	}
}

// RunOnce makes one claim, of as many items as there are free slots, waits until they are handled, and returns how
// many there were.
func (e *Runner[T]) RunOnce(ctx context.Context) (int, error) {
	var inHand sync.WaitGroup
	claimed, err := e.claimAndStart(ctx, context.WithoutCancel(ctx), &inHand)
	inHand.Wait()
	return claimed, err
}

// claimAndStart claims for the free slots, once there are any, and starts the work.
func (e *Runner[T]) claimAndStart(ctx, work context.Context, inHand *sync.WaitGroup) (int, error) {
	free := e.slots.waitFree(ctx)
	if free == 0 {
		return 0, ctx.Err()
	}
	now := e.config.Now()
	items, err := e.config.Claim(ctx, ClaimRequest{
		Now:         now,
		LeasedUntil: now.Add(e.config.Lease).Truncate(time.Microsecond),
		Seed:        int64(e.config.Random() * (1 << 53)),
		PerLane:     int32(e.config.PerLane),
		Total:       int32(free),
	})
	if err != nil {
		return 0, fmt.Errorf("claim due work: %w", err)
	}
	for _, item := range items {
		e.slots.acquire()
		inHand.Go(func() {
			defer e.slots.release()
			e.handle(work, item)
		})
	}
	return len(items), nil
}

// handle does one item. One that panics is left to its lease, so that it is tried again later.
func (e *Runner[T]) handle(work context.Context, item T) {
	margin := min(defaultMargin, e.config.Lease/4)
	ctx, cancel := context.WithTimeout(work, e.config.Lease-margin)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			e.config.Log.ErrorContext(ctx, "due work panicked", "work", e.config.Name, "panic", PanicText(v), "stack", string(debug.Stack()))
		}
	}()
	e.config.Handle(ctx, item)
}

// PanicText describes the value of a panic without repeating data: only errors of the Go runtime are quoted.
func PanicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a value of type %T", v)
}

// waitIdle waits until it is time to look again.
func (e *Runner[T]) waitIdle(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-e.wake:
	}
}

// waitAfterError waits after a claim that failed. Being woken shortens it, since a notification means that Postgres is
// back, but not below the first pause.
func (e *Runner[T]) waitAfterError(ctx context.Context, wait time.Duration) {
	if backoff.Sleep(ctx, e.jitter(minRetryDelay)) != nil {
		return
	}
	if rest := wait - minRetryDelay; rest > 0 {
		e.waitIdle(ctx, e.jitter(rest))
	}
}

// jitter takes off up to a quarter, so that processes do not act in step.
func (e *Runner[T]) jitter(d time.Duration) time.Duration {
	return backoff.Jitter(d, e.config.Random())
}

// cancelAfterDrain cancels the work in hand when it goes on for too long after ctx ended.
func (e *Runner[T]) cancelAfterDrain(ctx context.Context, cancel context.CancelFunc) (stop func()) {
	if e.config.DrainTimeout <= 0 {
		return func() {}
	}
	finished := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(e.config.DrainTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-finished:
		}
	})
	return func() {
		unwatch()
		close(finished)
	}
}
