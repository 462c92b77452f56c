package webhooks

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/problem"
)

func TestQueueingIsLimitedByOrganization(t *testing.T) {
	t.Parallel()
	now, one, other := time.Now(), uuid.New(), uuid.New()
	limiter := &queueingLimiter{}
	take := func(organization uuid.UUID, price, want int) {
		t.Helper()
		for n := range want {
			if err := limiter.take(organization, now, price); err != nil {
				t.Fatalf("%d of %d: %v", n, want, err)
			}
		}
		var refused *problem.Problem
		if err := limiter.take(organization, now, price); !errors.As(err, &refused) || refused.Status() != 429 || refused.RetryAfter != 1 {
			t.Errorf("after %d it is %v", want, err)
		}
	}
	take(one, testPrice, 20)
	take(one, replayPrice, 0)
	take(other, replayPrice, 100)
	now = now.Add(time.Second)
	take(one, testPrice, 2)
	take(other, replayPrice, 10)
	now = now.Add(time.Minute)
	take(one, testPrice, 20)
	if len(limiter.buckets) != 1 {
		t.Errorf("%d buckets are kept", len(limiter.buckets))
	}
}
