package due

import (
	"context"
	"sync"
)

// slots counts the items in hand. One goroutine takes, any number give back.
type slots struct {
	mu    sync.Mutex
	free  int
	given chan struct{}
}

func newSlots(n int) *slots {
	return &slots{free: n, given: make(chan struct{}, 1)}
}

// await returns how many slots are free, once there are any, and 0 when ctx ends before.
func (s *slots) await(ctx context.Context) int {
	for {
		if free := s.count(); free > 0 {
			return free
		}
		select {
		case <-ctx.Done():
			return 0
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
