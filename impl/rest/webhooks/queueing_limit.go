package webhooks

import (
	"math"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

const (
	queueingRate  = 10 // tokens a second
	queueingBurst = 100
	replayPrice   = 1
	// testPrice is higher because a test event is stored for 30 days. A replay uses what is stored.
	testPrice = 5
)

// queueingLimiter limits the test events and replays of every organization in this process. Unlike other events they cost
// the organization nothing, and a key may send a thousand requests a second. Its zero value is ready for use.
type queueingLimiter struct {
	mutex   sync.Mutex
	buckets map[uuid.UUID]*rate.Limiter
	swept   time.Time
}

// take returns a problem if an organization has to wait.
func (l *queueingLimiter) take(organizationID uuid.UUID, now time.Time, price int) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.sweep(now)
	bucket := l.buckets[organizationID]
	if bucket == nil {
		bucket = rate.NewLimiter(queueingRate, queueingBurst)
		if l.buckets == nil {
			l.buckets = map[uuid.UUID]*rate.Limiter{}
		}
		l.buckets[organizationID] = bucket
	}
	if bucket.AllowN(now, price) {
		return nil
	}
	missing := float64(price) - bucket.TokensAt(now)
	return &problem.Problem{
		Code:       api.ProblemCodeRateLimited,
		Detail:     "The organization queues test events and replays faster than it may; try again after the given time.",
		RetryAfter: max(1, int(math.Ceil(missing/queueingRate))),
	}
}

// sweep forgets full buckets once a minute.
func (l *queueingLimiter) sweep(now time.Time) {
	if now.Sub(l.swept).Abs() < time.Minute {
		return
	}
	l.swept = now
	for organizationID, bucket := range l.buckets {
		if bucket.TokensAt(now) >= queueingBurst {
			delete(l.buckets, organizationID)
		}
	}
}
