package sending

import (
	"sync"
	"time"
)

const (
	// SES counts its rate by the second, so a pause beyond one gains nothing.
	minThrottleCooldown = 100 * time.Millisecond
	maxThrottleCooldown = time.Second
	// An account is unblocked by people, or by the next hour of its daily quota.
	minAccountCooldown = 5 * time.Second
	maxAccountCooldown = time.Minute
)

// cooldown is a pause of the whole process. It doubles, up to longest, each time the first attempts after it fail
// as well.
type cooldown struct {
	first, longest time.Duration

	mu    sync.Mutex
	step  time.Duration
	until time.Time
}

func newCooldown(first, longest time.Duration) *cooldown {
	return &cooldown{first: first, longest: longest}
}

// start starts a pause unless there is one, and reports whether it did. Failures of attempts that were in flight
// when the pause began do not lengthen it.
func (b *cooldown) start(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Before(b.until) {
		return false
	}
	b.step = min(max(2*b.step, b.first), b.longest)
	b.until = now.Add(b.step)
	return true
}

// succeeded resets the length of the next pause after a success. The success of an attempt that was in flight when
// the pause began does not count.
func (b *cooldown) succeeded(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		b.step = 0
	}
}

// remaining returns how long the pause still takes; zero or less means that there is none.
func (b *cooldown) remaining(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.Sub(now)
}
