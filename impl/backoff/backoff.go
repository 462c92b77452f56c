// Package backoff computes how long to wait before a retry, and waits.
//
//   - backoff.go: the length of a wait
//   - sleep.go: waiting until a context ends
package backoff

import "time"

// Max is the longest wait of [After].
const Max = 15 * time.Minute

// After returns the wait after the given attempt, the first being 1, failed for an unclear reason: 1, 2, 5, 10,
// 30 seconds, 1, 2, 5, 10 minutes, then 15 minutes, less up to a quarter by random, a number in [0, 1). A receiver
// that recovers is thus tried again soon, and not by every sender at once.
func After(attempt int32, random float64) time.Duration {
	steps := [...]time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
	}
	step := Max
	if i := max(int(attempt), 1) - 1; i < len(steps) {
		step = steps[i]
	}
	return Jitter(step, random)
}

// Exponential returns the wait after the given attempt, the first being 1: the first wait, doubled with every
// attempt up to the longest, less up to a quarter by random, a number in [0, 1).
func Exponential(first, longest time.Duration, attempt int32, random float64) time.Duration {
	step := first
	for range attempt - 1 {
		if step >= longest {
			break
		}
		step *= 2
	}
	return Jitter(min(step, longest), random)
}

// Jitter returns wait less up to a quarter by random, a number in [0, 1), so that what failed together is not
// retried together.
func Jitter(wait time.Duration, random float64) time.Duration {
	return time.Duration(float64(wait) * (1 - random/4))
}
