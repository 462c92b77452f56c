package webhook

import "time"

const (
	// quickWithin is how soon a quick endpoint answers.
	quickWithin = time.Second
	// slowAfter is the time after which an answer, even a good one, costs the endpoint its concurrency.
	slowAfter = 5 * time.Second
	// The most deliveries in flight to an endpoint, quick or not.
	maxConcurrency      = 64
	maxConcurrencySlack = 8
)

// Concurrency returns how many deliveries to an endpoint may be in flight after one of them, of which took is the
// duration, and whether the endpoint is quick. It starts at 8 (a default of the column), doubles with good answers, and is 1
// after a failure or a slow answer. So an endpoint that hangs holds one slot, and one that is small gets no burst.
func Concurrency(current int32, took time.Duration, failed bool) (next int32, quick bool) {
	quick = took <= quickWithin
	switch {
	case failed, took > slowAfter:
		return 1, quick
	case quick:
		return min(2*current, maxConcurrency), true
	}
	return min(2*current, maxConcurrencySlack), false
}
