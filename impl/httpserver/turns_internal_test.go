package httpserver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// Turns go round the holders that wait, however many requests each has.
func TestTurnsGoRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		first, err := turns.take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		var running sync.WaitGroup
		for _, holder := range []string{"a", "a", "a", "b", "c", "b"} {
			running.Go(func() {
				release, err := turns.take(t.Context(), holder)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, holder)
				release()
				release()
			})
			synctest.Wait()
		}
		first()
		running.Wait()
		if want := []string{"a", "b", "c", "a", "b", "a"}; !slices.Equal(order, want) {
			t.Errorf("turns went to %v, want %v", order, want)
		}
		if turns.taken != 0 || len(turns.waiting) != 0 || len(turns.order) != 0 {
			t.Errorf("left %+v", turns)
		}
	})
}

// What waits is bounded for each holder: the request beyond the bound is refused at once, and others still wait.
func TestTurnsBoundWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		first, err := turns.take(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		wait := func(holder string) {
			running.Go(func() {
				if release, err := turns.take(ctx, holder); err == nil {
					release()
				}
			})
		}
		for range maxWaiting {
			wait("a")
		}
		synctest.Wait()
		var refused *problem.Problem
		if _, err := turns.take(t.Context(), "a"); !errors.As(err, &refused) || refused.Code != api.ProblemCodeOverloaded {
			t.Errorf("the request beyond the bound got %v", err)
		}
		wait("b")
		synctest.Wait()
		if len(turns.waiting["a"]) != maxWaiting || len(turns.waiting["b"]) != 1 {
			t.Errorf("%d and %d wait", len(turns.waiting["a"]), len(turns.waiting["b"]))
		}
		cancel()
		running.Wait()
		first()
		if turns.taken != 0 || len(turns.waiting) != 0 || len(turns.order) != 0 {
			t.Errorf("left %+v", turns)
		}
	})
}

// One holder has at most half of the turns; the others are free for a request of another.
func TestTurnsLeaveHalf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(4)
		var running sync.WaitGroup
		var begun atomic.Int64
		end := make(chan struct{})
		for range 8 {
			running.Go(func() {
				release, err := turns.take(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				begun.Add(1)
				<-end
				release()
			})
			synctest.Wait()
		}
		if begun.Load() != 2 {
			t.Errorf("%d requests of one holder have a turn, want 2", begun.Load())
		}
		for _, holder := range []string{"b", "c"} {
			if _, err := turns.take(t.Context(), holder); err != nil {
				t.Fatal(err)
			}
		}
		close(end)
		running.Wait()
		if begun.Load() != 8 || turns.taken != 2 {
			t.Errorf("%d requests had a turn, %d have one", begun.Load(), turns.taken)
		}
	})
}

// A request that is given up leaves no turn behind, whether or not it was its turn.
func TestTurnsOfRequestsThatAreGivenUp(t *testing.T) {
	t.Parallel()
	turns := newTurns(2)
	var running sync.WaitGroup
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		running.Go(func() {
			defer cancel()
			if release, err := turns.take(ctx, i%7); err == nil {
				release()
			}
		})
		running.Go(cancel)
	}
	running.Wait()
	if turns.taken != 0 || len(turns.waiting) != 0 || len(turns.order) != 0 {
		t.Errorf("left %+v", turns)
	}
}

// Under pressure fewer turns are taken at once, down to the least, and one holder has at most half of them. When the
// pressure ends, what waits gets them back one by one.
func TestTurnsGiveWayUnderPressure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var high atomic.Bool
		turns := newTurns(8)
		turns.least, turns.pressure = 2, func() (bool, bool) { return high.Load(), true }
		var begun, ended atomic.Int64
		end := make(chan struct{})
		var running sync.WaitGroup
		ask := func() {
			running.Go(func() {
				release, err := turns.take(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				begun.Add(1)
				<-end
				ended.Add(1)
				release()
			})
			synctest.Wait()
		}
		high.Store(true)
		for range 10 {
			ask()
		}
		if turns.atOnce != 2 {
			t.Errorf("%d turns at once under pressure", turns.atOnce)
		}
		for ended.Load() < begun.Load()-1 {
			end <- struct{}{}
			synctest.Wait()
		}
		before := begun.Load()
		high.Store(false)
		for range 6 {
			ask()
		}
		if held := begun.Load() - ended.Load(); turns.atOnce != 8 || held != 4 || begun.Load() == before {
			t.Errorf("%d of %d turns are held after it", held, turns.atOnce)
		}
		close(end)
		running.Wait()
		if turns.taken != 0 || len(turns.waiting) != 0 || len(turns.order) != 0 {
			t.Errorf("left %+v", turns)
		}
	})
}
