package webhook

import "time"

const (
	// DisableAfter is how long a webhook may have only failures before it is disabled.
	DisableAfter = 5 * 24 * time.Hour
	// maxPause bounds the pause that an endpoint may request with Retry-After.
	maxPause = time.Hour
)

// RetryDelay returns the wait after the given attempt failed, the first attempt being 1: about 5 seconds, 5 and 30
// minutes, 2, 5, 10 and 10 hours. It adds up to a tenth by random, a number in [0, 1). An endpoint that requested a
// longer pause gets it, up to an hour. False means that it was the last attempt.
func RetryDelay(attempt int32, retryAfter time.Duration, random float64) (time.Duration, bool) {
	steps := [...]time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour,
	}
	if attempt < 1 || int(attempt) > len(steps) {
		return 0, false
	}
	wait := max(steps[attempt-1], retryAfter)
	return wait + time.Duration(float64(wait)*random/10), true
}
