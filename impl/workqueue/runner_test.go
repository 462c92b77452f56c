package workqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voostack/mailstack/impl/workqueue"
)

// queue is due work in memory. Its claims keep the one rule that a runner relies on: at most Total items.
type queue struct {
	mu      sync.Mutex
	items   []int
	failing error
	claims  []workqueue.ClaimRequest
	at      []time.Time
}

func (q *queue) add(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range n {
		q.items = append(q.items, len(q.items))
	}
}

func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failing = err
}

func (q *queue) claim(_ context.Context, c workqueue.ClaimRequest) ([]int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.claims = append(q.claims, c)
	q.at = append(q.at, time.Now())
	if q.failing != nil {
		return nil, q.failing
	}
	n := min(len(q.items), int(c.Total), int(c.PerLane))
	taken := q.items[:n]
	q.items = q.items[n:]
	return taken, nil
}

func (q *queue) asked() []workqueue.ClaimRequest {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.claims
}

// gauge counts the items in flight.
type gauge struct {
	mu             sync.Mutex
	now, most, all int
}

func (g *gauge) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now++
	g.all++
	g.most = max(g.most, g.now)
}

func (g *gauge) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
}

func (g *gauge) done() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all - g.now
}

func engine(t *testing.T, config workqueue.Config[int]) *workqueue.Runner[int] {
	t.Helper()
	if config.Random == nil {
		config.Random = func() float64 { return 0 }
	}
	e, err := workqueue.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run runs a runner inside a synctest bubble until the returned function is called.
func run(t *testing.T, e *workqueue.Runner[int]) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

func TestNoMoreInHandThanSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, g := &queue{}, &gauge{}
		q.add(100)
		e := engine(t, workqueue.Config[int]{Concurrency: 4, Claim: q.claim, Handle: func(context.Context, int) {
			g.enter()
			time.Sleep(time.Second)
			g.leave()
		}})
		stop := run(t, e)
		time.Sleep(26 * time.Second)
		stop()
		if g.most != 4 || g.all != 100 {
			t.Errorf("%d items in 26 seconds, %d at once, want 100 and 4", g.all, g.most)
		}
		for _, c := range q.asked() {
			if c.Total < 1 || c.Total > 4 || c.LeasedUntil.Sub(c.Now).Round(time.Millisecond) != time.Minute {
				t.Errorf("claimed %+v", c)
			}
		}
	})
}

func TestBoundedLanesAreClaimedUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, g := &queue{}, &gauge{}
		q.add(50)
		e := engine(t, workqueue.Config[int]{Concurrency: 64, PerLane: 1, PollInterval: time.Hour, Claim: q.claim, Handle: func(context.Context, int) {
			g.enter()
			g.leave()
		}})
		stop := run(t, e)
		synctest.Wait()
		if g.done() != 50 {
			t.Errorf("%d of 50 items are done without waiting for a poll", g.done())
		}
		stop()
	})
}

func TestPollsAndIsWoken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		e := engine(t, workqueue.Config[int]{PollInterval: time.Minute, Claim: q.claim, Handle: func(context.Context, int) {}})
		stop := run(t, e)
		defer stop()
		claims := func(want int, when string) {
			t.Helper()
			synctest.Wait()
			if got := len(q.asked()); got != want {
				t.Fatalf("%d claims %s, want %d", got, when, want)
			}
		}
		claims(1, "at the start")
		time.Sleep(time.Minute)
		claims(2, "after a poll")
		e.Wake()
		claims(3, "after a wake")
		q.add(1)
		e.Wake()
		claims(5, "after a wake with work, as there may be more")
	})
}

// A claim that leaves rows because of what is in flight is repeated when an item ends, once for items that end together.
func TestEndOfAnItemIsFollowedByAClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, g := &queue{}, &gauge{}
		q.add(9)
		e := engine(t, workqueue.Config[int]{
			Concurrency: 64, PollInterval: time.Hour, ClaimAfterWork: true,
			Claim: func(ctx context.Context, c workqueue.ClaimRequest) ([]int, error) {
				if c.Total < 64 {
					return nil, nil
				}
				c.Total = 3
				return q.claim(ctx, c)
			},
			Handle: func(context.Context, int) {
				g.enter()
				time.Sleep(time.Second)
				g.leave()
			},
		})
		stop := run(t, e)
		time.Sleep(4 * time.Second)
		if n := len(q.asked()); g.done() != 9 || n != 4 {
			t.Errorf("%d of 9 items are done after %d claims, want 4", g.done(), n)
		}
		stop()
	})
}

// Items end and notifications come all the time, and yet claims take at most half of it.
func TestClaimsThatFollowWorkLeaveTheDatabaseTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var claims, done atomic.Int32
		e := engine(t, workqueue.Config[int]{
			Concurrency: 64, PollInterval: time.Hour, ClaimAfterWork: true,
			Claim: func(_ context.Context, c workqueue.ClaimRequest) ([]int, error) {
				claims.Add(1)
				time.Sleep(20 * time.Millisecond)
				return make([]int, min(c.Total, 2)), nil
			},
			Handle: func(context.Context, int) {
				time.Sleep(time.Millisecond)
				done.Add(1)
			},
		})
		stop := run(t, e)
		for range 10_000 {
			time.Sleep(100 * time.Microsecond)
			e.Wake()
		}
		if n := claims.Load(); n < 20 || n > 26 || done.Load() < 2*n-4 {
			t.Errorf("%d claims in a second, %d items are done", n, done.Load())
		}
		stop()
	})
}

func TestClaimsBackOffAndRecover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, g := &queue{}, &gauge{}
		q.add(1)
		q.fail(errors.New("no database"))
		e := engine(t, workqueue.Config[int]{PollInterval: time.Hour, Claim: q.claim, Handle: func(context.Context, int) { g.enter(); g.leave() }})
		stop := run(t, e)
		defer stop()
		time.Sleep(time.Minute)
		claims := q.asked()
		if len(claims) < 12 || len(claims) > 20 {
			t.Errorf("%d claims in a minute without a database", len(claims))
		}
		for i := 1; i < len(q.at); i++ {
			if wait := q.at[i].Sub(q.at[i-1]); wait < 100*time.Millisecond || wait > 5*time.Second {
				t.Errorf("claimed again after %s", wait)
			}
		}
		q.fail(nil)
		time.Sleep(5 * time.Second)
		if g.done() != 1 {
			t.Error("it does not recover")
		}
	})
}

func TestWakesDoNotHammerADatabaseThatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{failing: errors.New("no database")}
		e := engine(t, workqueue.Config[int]{Claim: q.claim, Handle: func(context.Context, int) {}})
		stop := run(t, e)
		defer stop()
		for range 1000 {
			e.Wake()
			time.Sleep(time.Millisecond)
		}
		if n := len(q.asked()); n > 11 {
			t.Errorf("%d claims in a second", n)
		}
	})
}

func TestStopWaitsForWhatIsInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, g := &queue{}, &gauge{}
		q.add(3)
		var cut atomic.Bool
		e := engine(t, workqueue.Config[int]{Concurrency: 2, DrainTimeout: 20 * time.Second, Claim: q.claim, Handle: func(ctx context.Context, _ int) {
			g.enter()
			defer g.leave()
			time.Sleep(10 * time.Second)
			if ctx.Err() != nil {
				cut.Store(true)
			}
		}})
		stop := run(t, e)
		time.Sleep(time.Second)
		begun := time.Now()
		stop()
		if took := time.Since(begun); took != 9*time.Second || g.done() != 2 || cut.Load() {
			t.Errorf("it stopped after %s with %d items done, cut off: %t", took, g.done(), cut.Load())
		}
	})
}

func TestWorkEndsWithTheDrainAndBeforeTheLease(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stopAfter, want time.Duration
	}{
		"drain": {5 * time.Second, 15 * time.Second},
		"lease": {time.Hour, 45 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &queue{}
				q.add(1)
				begun := time.Now()
				var took time.Duration
				e := engine(t, workqueue.Config[int]{DrainTimeout: 10 * time.Second, Claim: q.claim, Handle: func(ctx context.Context, _ int) {
					<-ctx.Done()
					took = time.Since(begun)
				}})
				stop := run(t, e)
				time.Sleep(c.stopAfter)
				stop()
				if took != c.want {
					t.Errorf("the work was ended after %s, want %s", took, c.want)
				}
			})
		})
	}
}

func TestPanicTakesNobodyElseDown(t *testing.T) {
	t.Parallel()
	q, g := &queue{}, &gauge{}
	q.add(3)
	var log strings.Builder
	e := engine(t, workqueue.Config[int]{
		Concurrency: 3, Log: slog.New(slog.NewTextHandler(&log, nil)), Claim: q.claim,
		Handle: func(_ context.Context, item int) {
			if item == 1 {
				panic("somebody's secret")
			}
			g.enter()
			g.leave()
		},
	})
	for _, want := range []int{3, 0} {
		if n, err := e.RunOnce(t.Context()); n != want || err != nil {
			t.Fatalf("a pass handled %d: %v", n, err)
		}
	}
	if g.done() != 2 || !strings.Contains(log.String(), "panicked") || strings.Contains(log.String(), "secret") {
		t.Errorf("%d done, and the log says %s", g.done(), log.String())
	}
	if total := q.asked()[1].Total; total != 3 {
		t.Errorf("%d slots are free after a panic, want 3", total)
	}
}

func TestRunOnceTellsErrors(t *testing.T) {
	t.Parallel()
	gone := errors.New("no database")
	q := &queue{failing: gone}
	e := engine(t, workqueue.Config[int]{Claim: q.claim, Handle: func(context.Context, int) {}})
	if _, err := e.RunOnce(t.Context()); !errors.Is(err, gone) {
		t.Errorf("it fails with %v", err)
	}
}

func TestNewWantsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := workqueue.New(workqueue.Config[int]{}); err == nil {
		t.Error("an engine without work is made")
	}
}
