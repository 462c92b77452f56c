package backoff_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/backoff"
)

func TestBackoffSteps(t *testing.T) {
	t.Parallel()
	for i, want := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 15 * time.Minute,
	} {
		if got := backoff.After(int32(i+1), 0); got != want {
			t.Errorf("after attempt %d it waits %s, want %s", i+1, got, want)
		}
	}
}

func TestBackoffIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		attempt := rapid.Int32().Draw(t, "attempt")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		longest := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "longest"))
		first := time.Duration(rapid.Int64Range(1, int64(longest)).Draw(t, "first"))
		wait, whole := backoff.After(attempt, random), backoff.After(attempt, 0)
		if wait <= whole*3/4-1 || wait > whole || whole < time.Second || whole > backoff.Max {
			t.Fatalf("it waits %s of %s", wait, whole)
		}
		doubled := backoff.Exponential(first, longest, attempt, 0)
		if doubled < first || doubled > longest {
			t.Fatalf("it waits %s, want between %s and %s", doubled, first, longest)
		}
		if attempt > 1 && attempt < 1000 && doubled < longest && doubled != 2*backoff.Exponential(first, longest, attempt-1, 0) {
			t.Fatalf("it waits %s after attempt %d", doubled, attempt)
		}
	})
}
