package due

import (
	"context"
	"sync"
	"time"
)

// gather is how long a claim waits for more slots than few. Under load slots come free one by one, and a claim for
// each would cost the database several times as much as claims for many.
const gather = 5 * time.Millisecond

// slots counts the items in hand. One goroutine takes, any number give back.
type slots struct {
	mu    sync.Mutex
	free  int
	many  int
	given chan struct{}
}

func newSlots(n int) *slots {
	return &slots{free: n, many: (n + 1) / 2, given: make(chan struct{}, 1)}
}

// await returns how many slots are free: at once when half of them are, else a moment after the first is. It returns
// 0 when ctx ends before.
func (s *slots) await(ctx context.Context) int {
	var enough <-chan time.Time
	for {
		free := s.count()
		if free >= s.many {
			return free
		}
		if free > 0 && enough == nil {
			timer := time.NewTimer(gather)
			defer timer.Stop()
			enough = timer.C
		}
		select {
		case <-ctx.Done():
			return 0
		case <-enough:
			return free
		case <-s.given:
		}
	}
}

func (s *slots) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

func (s *slots) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free--
}

func (s *slots) give() {
	s.mu.Lock()
	s.free++
	s.mu.Unlock()
	select {
	case s.given <- struct{}{}:
	default:
	}
}
