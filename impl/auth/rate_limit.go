package auth

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"
)

// limiterIdleTTL is how long the bucket of an idle key is kept. The bucket is full long before.
const limiterIdleTTL = time.Minute

// keyLimiter limits the requests of every key by a token bucket in this process: requestsPerSecond tokens flow in,
// twice as many fit. A nil *keyLimiter limits nothing.
type keyLimiter struct {
	limit rate.Limit
	burst int

	mutex   sync.Mutex
	buckets map[uuid.UUID]*bucket
	swept   time.Time
}

type bucket struct {
	limiter *rate.Limiter
	used    time.Time
}

func newKeyLimiter(requestsPerSecond float64) *keyLimiter {
	if requestsPerSecond <= 0 {
		return nil
	}
	return &keyLimiter{
		limit:   rate.Limit(requestsPerSecond),
		burst:   max(1, int(2*requestsPerSecond)),
		buckets: make(map[uuid.UUID]*bucket),
	}
}

// allow takes a token for one request of a key and sets the RateLimit fields of
// draft-ietf-httpapi-ratelimit-headers-10: q requests fit, in a window of w seconds; r are left, and all of q
// again after t seconds. If no token is left, it returns the seconds until there is one.
func (r *keyLimiter) allow(key uuid.UUID, now time.Time, header http.Header) (retryAfter int, allowed bool) {
	if r == nil {
		return 0, true
	}
	limiter := r.bucket(key, now)
	allowed = limiter.AllowN(now, 1)
	left := limiter.TokensAt(now)
	header.Set("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%d`, r.burst, r.seconds(float64(r.burst))))
	r.describe(header, left)
	return r.seconds(1 - left), allowed
}

// charge takes more for a request that was allowed. What is not there yet is taken ahead: the requests that follow wait for
// it.
func (r *keyLimiter) charge(key uuid.UUID, now time.Time, header http.Header, tokens int) {
	if r == nil || tokens <= 0 {
		return
	}
	limiter := r.bucket(key, now)
	limiter.ReserveN(now, min(tokens, r.burst))
	r.describe(header, limiter.TokensAt(now))
}

func (r *keyLimiter) describe(header http.Header, left float64) {
	header.Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%d`, max(0, int(left)), r.seconds(float64(r.burst)-left)))
}

// seconds returns how long so many tokens take to flow in, rounded up, at least 1.
func (r *keyLimiter) seconds(tokens float64) int {
	return max(1, int(math.Ceil(tokens/float64(r.limit))))
}

func (r *keyLimiter) bucket(key uuid.UUID, now time.Time) *rate.Limiter {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.evictIdle(now)
	found := r.buckets[key]
	if found == nil {
		found = &bucket{limiter: rate.NewLimiter(r.limit, r.burst)}
		r.buckets[key] = found
	}
	found.used = now
	return found.limiter
}

// evictIdle drops the buckets of idle keys, so that the keys in use bound the memory.
func (r *keyLimiter) evictIdle(now time.Time) {
	kept := max(limiterIdleTTL, time.Duration(r.seconds(float64(r.burst)))*time.Second)
	if now.Sub(r.swept) < kept {
		return
	}
	r.swept = now
	for key, one := range r.buckets {
		if now.Sub(one.used) > kept {
			delete(r.buckets, key)
		}
	}
}
