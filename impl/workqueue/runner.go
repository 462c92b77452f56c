// Package workqueue runs work that is stored as rows of a table: what to do, when, and which process has leased
// it. The caller supplies the table access and the work as two functions, Claim and Handle.
//
//   - runner.go: claim what is due, hand it to a bounded number of goroutines, claim again
//   - slots.go: how many items are in flight
//   - lanes.go: where a claim begins in each lane; floor.go: where it begins if there are no lanes
//
// The rules of the rows: a claim takes rows whose due_at has come, in turn over their lanes (fairness keys: no
// lane holds up another). It counts the attempt, moves due_at to the end of the lease, and is committed before any
// work begins. The process that does the work settles it in the row, as long as no later attempt has begun. A
// process that dies settles nothing, so its rows come due again when their leases end, or before (package takeover), and
// any process takes them over.
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
	"sync/atomic"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// DefaultLease is how long claimed work belongs to the process that claimed it.
	DefaultLease = 60 * time.Second
	// defaultMargin is the end of a lease that is reserved for settling: work is cancelled before it.
	defaultMargin       = 15 * time.Second
	defaultConcurrency  = 16
	defaultPollInterval = 500 * time.Millisecond
	// The pause after a claim that failed doubles from minRetryDelay to maxRetryDelay.
	minRetryDelay = 100 * time.Millisecond
	maxRetryDelay = 5 * time.Second
	// maxRest bounds the pause after a claim with ClaimAfterWork, which is as long as the claim took.
	maxRest = 50 * time.Millisecond
)

// ClaimRequest says what to claim: rows due at Now, at most PerLane of a lane and Total in all.
type ClaimRequest struct {
	Now time.Time
	// LeasedUntil is in whole microseconds, as Postgres stores it, so that it can be compared with the lease of a row.
	LeasedUntil time.Time
	// Seed differs for every claim. It orders the lanes when there are more than one claim can serve.
	Seed           int64
	PerLane, Total int32
}

// Config of a [Runner]. Claim and Handle are required.
type Config[T any] struct {
	// Name identifies the work in the log.
	Name string
	// Claim takes due rows and commits that. It returns at most Total items.
	Claim func(ctx context.Context, claim ClaimRequest) ([]T, error)
	// Handle does the work of one item and settles it. Its context ends a quarter of the lease, at most 15
	// seconds, before the lease does, or when DrainTimeout is over. An item keeps its slot until Handle returns,
	// so that work which cannot be settled also stops new claims.
	Handle func(ctx context.Context, item T)
	// Concurrency bounds how many items are in flight at once. Zero means 16.
	Concurrency int
	// PerLane bounds how many items of one lane a claim takes. Zero means Concurrency.
	PerLane int
	// Lease is how long a claimed item belongs to this process. Zero means 60 seconds, of which the last quarter
	// is reserved for settling.
	Lease time.Duration
	// PollInterval is how long an idle runner waits before its next claim, unless it is woken. Zero means 500 ms.
	PollInterval time.Duration
	// ClaimAfterWork makes a runner claim again soon after an item ends, instead of at once after a claim that found
	// something. It is for a Claim that leaves rows because of what is in flight. Items that end within a few
	// milliseconds share a claim, and claims take at most half of the time: with many lanes, one costs the database
	// several milliseconds, however little it finds.
	ClaimAfterWork bool
	// DrainTimeout bounds how long work goes on after the context of Run ended. Zero means until its lease ends.
	DrainTimeout time.Duration
	// Now is the clock of the rows. Nil means time.Now.
	Now func() time.Time
	// Random returns a number in [0, 1), concurrently. Nil means math/rand/v2.
	Random func() float64
	// Log receives what an operator should know. Nil means no log.
	Log *slog.Logger
}

// Runner claims due work and runs it. It is safe for concurrent use.
type Runner[T any] struct {
	config Config[T]
	slots  *slots
	wake   chan struct{}
	ended  chan struct{}
	took   atomic.Int64 // nanoseconds of the last claim
}

// New returns a runner that does nothing until it is run.
func New[T any](config Config[T]) (*Runner[T], error) {
	if config.Claim == nil || config.Handle == nil {
		return nil, errors.New("workqueue: Claim and Handle are required")
	}
	setDefaults(&config)
	return &Runner[T]{
		config: config, slots: newSlots(config.Concurrency), wake: make(chan struct{}, 1), ended: make(chan struct{}, 1),
	}, nil
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

// Wake makes an idle runner claim at once. It never blocks.
func (e *Runner[T]) Wake() { signal(e.wake) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal is pending already
	}
}

// Run claims and handles work until ctx ends, and then waits for what is in flight.
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
			e.config.Log.ErrorContext(ctx, "claiming due work failed", "work", e.config.Name, "error", err, "retry_in", wait.String())
			e.waitAfterError(ctx, wait)
			wait = min(2*wait, maxRetryDelay)
		case claimed > 0 && !e.config.ClaimAfterWork:
			// There may be more: with bounded lanes, even a claim of fewer than the free slots may have left some.
			wait = minRetryDelay
		default:
			wait = minRetryDelay
			e.rest(ctx, claimed)
			e.waitIdle(ctx, e.jitter(e.config.PollInterval), e.ended)
		}
	}
}

// rest pauses after a claim with ClaimAfterWork. If it found something there may be more, as after the end of an item.
func (e *Runner[T]) rest(ctx context.Context, claimed int) {
	if !e.config.ClaimAfterWork {
		return
	}
	if claimed > 0 {
		signal(e.ended)
	}
	_ = backoff.Sleep(ctx, min(time.Duration(e.took.Load()), maxRest)) // the end of ctx ends the wait that follows too
}

// RunOnce makes one claim, of as many items as there are free slots, waits until they are handled, and returns how
// many there were.
func (e *Runner[T]) RunOnce(ctx context.Context) (int, error) {
	var inHand sync.WaitGroup
	claimed, err := e.claimAndStart(ctx, context.WithoutCancel(ctx), &inHand)
	inHand.Wait()
	return claimed, err
}

// claimAndStart waits for free slots, claims work for them, and starts it. It returns how many items there were.
func (e *Runner[T]) claimAndStart(ctx, work context.Context, inHand *sync.WaitGroup) (int, error) {
	free := e.slots.waitFree(ctx)
	if free == 0 {
		return 0, ctx.Err()
	}
	select {
	case <-e.ended: // this claim is the one that follows
	default:
	}
	margin := min(defaultMargin, e.config.Lease/4)
	deadline := time.Now().Add(e.config.Lease - margin)
	now, began := e.config.Now(), time.Now()
	items, err := e.config.Claim(ctx, ClaimRequest{
		Now:         now,
		LeasedUntil: now.Add(e.config.Lease).Truncate(time.Microsecond),
		Seed:        int64(e.config.Random() * (1 << 53)),
		PerLane:     int32(e.config.PerLane),
		Total:       int32(free),
	})
	e.took.Store(int64(time.Since(began)))
	if err != nil {
		return 0, fmt.Errorf("claim due work: %w", err)
	}
	for _, item := range items {
		e.slots.acquire()
		inHand.Go(func() {
			defer e.release()
			e.handle(work, item, deadline)
		})
	}
	return len(items), nil
}

func (e *Runner[T]) release() {
	e.slots.release()
	if e.config.ClaimAfterWork {
		signal(e.ended)
	}
}

// handle does the work of one item. An item that panics comes due again when its lease ends.
func (e *Runner[T]) handle(work context.Context, item T, deadline time.Time) {
	ctx, cancel := context.WithDeadline(work, deadline)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			e.config.Log.ErrorContext(ctx, "due work panicked", "work", e.config.Name, "panic", PanicText(v), "stack", string(debug.Stack()))
		}
	}()
	e.config.Handle(ctx, item)
}

// PanicText describes the value of a panic without repeating data: it quotes only errors of the Go runtime.
func PanicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a value of type %T", v)
}

// waitIdle waits for the given time, or until the runner is woken, ctx ends, or coalesceDelay has passed after a signal of
// ended.
func (e *Runner[T]) waitIdle(ctx context.Context, wait time.Duration, ended <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-e.wake:
			return
		case <-ended:
			ended = nil
			timer.Reset(min(wait, coalesceDelay))
		}
	}
}

// waitAfterError waits after a claim that failed. A wake-up shortens the wait, since a notification means that
// Postgres is back, but not below minRetryDelay.
func (e *Runner[T]) waitAfterError(ctx context.Context, wait time.Duration) {
	if backoff.Sleep(ctx, e.jitter(minRetryDelay)) != nil {
		return
	}
	if rest := wait - minRetryDelay; rest > 0 {
		e.waitIdle(ctx, e.jitter(rest), nil)
	}
}

// jitter returns d less up to a quarter, so that processes do not act in step.
func (e *Runner[T]) jitter(d time.Duration) time.Duration {
	return backoff.Jitter(d, e.config.Random())
}

// cancelAfterDrain cancels the work that is still in flight when DrainTimeout has passed after the end of ctx. The
// returned function ends that.
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
