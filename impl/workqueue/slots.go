package workqueue

import (
	"context"
	"sync"
	"time"
)

// coalesceDelay is how long a claim waits until half of the slots are free. Under load slots are freed one by one,
// and a claim for each would cost the database several times as much as claims for many.
const coalesceDelay = 5 * time.Millisecond

// slots is a semaphore that counts the items in flight. One goroutine acquires slots, any number release them.
type slots struct {
	mu     sync.Mutex
	free   int
	enough int
	freed  chan struct{}
}

func newSlots(n int) *slots {
	return &slots{free: n, enough: (n + 1) / 2, freed: make(chan struct{}, 1)}
}

// waitFree returns how many slots are free: at once when half of them are, else coalesceDelay after the first one
// is. It returns 0 when ctx ends first.
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
	signal(s.freed)
}
