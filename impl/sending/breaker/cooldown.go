// Package breaker pauses sending after SES refused what all mail shares.
package breaker

import (
	"sync"
	"time"
)

// Cooldown is a pause of the whole process. It doubles, up to longest, each time the first attempts after it fail
// as well.
type Cooldown struct {
	first, longest time.Duration

	mu    sync.Mutex
	step  time.Duration
	until time.Time
}

// NewCooldown returns a cooldown whose first pause takes first, and none more than longest.
func NewCooldown(first, longest time.Duration) *Cooldown {
	return &Cooldown{first: first, longest: longest}
}

// Start starts a pause unless there is one, and reports whether it did. Failures of attempts that were in flight
// when the pause began do not lengthen it.
func (b *Cooldown) Start(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return false
	}
	b.step = min(max(2*b.step, b.first), b.longest)
	b.until = now.Add(b.step)
	return true
}

// Succeeded resets the length of the next pause after a success. The success of an attempt that was in flight when
// the pause began does not count.
func (b *Cooldown) Succeeded(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		b.step = 0
	}
}

// Remaining returns how long the pause still takes; zero or less means that there is none.
func (b *Cooldown) Remaining(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.Sub(now)
}
