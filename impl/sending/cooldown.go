package sending

import (
	"sync"
	"time"
)

const (
	// SES counts its rate by the second, so a pause beyond one gains nothing.
	minThrottleCooldown = 100 * time.Millisecond
	maxThrottleCooldown = time.Second
	// What blocks an account is mended by people, or by the next hour of a daily quota.
	minAccountCooldown = 5 * time.Second
	maxAccountCooldown = time.Minute
)

// cooldown is a pause that the whole process makes, longer each time that the first attempts after it fail as well.
type cooldown struct {
	first, longest time.Duration

	mu    sync.Mutex
	step  time.Duration
	until time.Time
}

func newCooldown(first, longest time.Duration) *cooldown {
	return &cooldown{first: first, longest: longest}
}

// start starts a pause, and says whether it did. Failures of attempts that were under way when it began do not lengthen it.
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

// complete notes a success. One that was under way when a pause began does not end it.
func (b *cooldown) succeeded(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !now.Before(b.until) {
		b.step = 0
	}
}

// remaining is how long the pause still takes.
func (b *cooldown) remaining(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.Sub(now)
}
