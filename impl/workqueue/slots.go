package workqueue

import (
	"context"
	"sync"
	"time"
)

// coalesceDelay is how long a claim waits for more slots than few. Under load slots come free one by one, and a claim for
// each would cost the database several times as much as claims for many.
const coalesceDelay = 5 * time.Millisecond

// slots counts the items in hand. One goroutine takes, any number give back.
type slots struct {
	mu     sync.Mutex
	free   int
	enough int
	freed  chan struct{}
}

func newSlots(n int) *slots {
	return &slots{free: n, enough: (n + 1) / 2, freed: make(chan struct{}, 1)}
}

// waitFree returns how many slots are free: at once when half of them are, else a moment after the first is. It returns
// 0 when ctx ends before.
func (s *slots) waitFree(ctx context.Context) int {
	var enough <-chan time.Time
	for {
		free := s.count()
		if free >= s.enough {
			return free
		}
		if free > 0 && enough == nil {
			timer := time.NewTimer(coalesceDelay)
			defer timer.Stop()
			enough = timer.C
		}
		select {
		case <-ctx.Done():
			return 0
		case <-enough:
			return free
		case <-s.freed:
		}
	}
}

func (s *slots) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

func (s *slots) acquire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free--
}

func (s *slots) release() {
	s.mu.Lock()
	s.free++
	s.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
