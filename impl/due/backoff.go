package due

import "time"

// LongestBackoff is the longest wait after a failure.
const LongestBackoff = 15 * time.Minute

// Backoff is how long to wait after the given attempt, the first being 1, failed for an unclear reason: 1, 2, 5, 10,
// 30 seconds, 1, 2, 5, 10 minutes, then 15 minutes, less up to a quarter by random, a number in [0, 1). So a
// receiver that comes back is neither missed for long nor met by everybody at once.
func Backoff(attempt int32, random float64) time.Duration {
	steps := [...]time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
	}
	step := LongestBackoff
	if i := max(int(attempt), 1) - 1; i < len(steps) {
		step = steps[i]
	}
	return Shorten(step, random)
}

// Doubling is how long to wait after the given attempt, the first being 1: the first wait, doubled with every
// attempt up to the longest, less up to a quarter by random, a number in [0, 1).
func Doubling(first, longest time.Duration, attempt int32, random float64) time.Duration {
	step := first
	for range attempt - 1 {
		if step >= longest {
			break
		}
		step *= 2
	}
	return Shorten(min(step, longest), random)
}

// Shorten takes up to a quarter off a wait by random, a number in [0, 1), so that what failed together is not tried
// again together.
func Shorten(wait time.Duration, random float64) time.Duration {
	return time.Duration(float64(wait) * (1 - random/4))
}
