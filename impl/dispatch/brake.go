package dispatch

import (
	"sync"
	"time"
)

const (
	// SES counts its rate by the second, so a pause beyond one gains nothing.
	throttleFirst   = 100 * time.Millisecond
	throttleLongest = time.Second
	// What blocks an account is mended by people, or by the next hour of a daily quota.
	blockFirst   = 5 * time.Second
	blockLongest = time.Minute
)

// brake is a pause that the whole process makes, longer each time that the first attempts after it fail as well.
type brake struct {
	first, longest time.Duration

	mu    sync.Mutex
	step  time.Duration
	until time.Time
}

func newBrake(first, longest time.Duration) *brake {
	return &brake{first: first, longest: longest}
}

// engage starts a pause, and says whether it did. Failures of attempts that were under way when it began do not lengthen it.
func (b *brake) engage(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return false
	}
	b.step = min(max(2*b.step, b.first), b.longest)
	b.until = now.Add(b.step)
	return true
}

// release notes a success. One that was under way when a pause began does not end it.
func (b *brake) release(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		b.step = 0
	}
}

// left is how long the pause still takes.
func (b *brake) left(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.Sub(now)
}

// seldom lets something through at most once in a while, each kind by itself.
type seldom struct {
	every time.Duration

	mu   sync.Mutex
	last map[string]time.Time
}

func newSeldom(every time.Duration) *seldom {
	return &seldom{every: every, last: map[string]time.Time{}}
}

func (s *seldom) allows(kind string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, found := s.last[kind]; found && now.Sub(last) < s.every {
		return false
	}
	s.last[kind] = now
	return true
}
