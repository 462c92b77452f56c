package intake

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

// idleRate is how often full buckets are dropped.
const idleRate = time.Minute

// rates hold the emails per second of organizations with a limit, in this process: as many as the limit flow into a bucket
// each second, and twice as many fit. A request is accepted whole while anything is there; what it takes beyond that is paid
// by the requests after it, so that a batch can be larger than a bucket.
type rates struct {
	mutex   sync.Mutex
	buckets map[uuid.UUID]*bucket
	swept   time.Time
}

type bucket struct {
	left float64
	at   time.Time
	// fullAt is when the bucket is full again.
	fullAt time.Time
}

// take takes emails from an organization's bucket. When nothing is there, it returns how long until there is.
func (r *rates) take(organization uuid.UUID, perSecond, emails int64, now time.Time) (wait time.Duration, taken bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.evictIdle(now)
	full := 2 * float64(perSecond)
	own := r.buckets[organization]
	if own == nil {
		own = &bucket{left: full, at: now}
		if r.buckets == nil {
			r.buckets = make(map[uuid.UUID]*bucket)
		}
		r.buckets[organization] = own
	}
	own.left = min(full, own.left+float64(perSecond)*max(0, now.Sub(own.at).Seconds()))
	own.at = now
	if own.left < 1 {
		return time.Duration((1 - own.left) / float64(perSecond) * float64(time.Second)), false
	}
	own.left -= float64(emails)
	own.fullAt = now.Add(time.Duration((full - own.left) / float64(perSecond) * float64(time.Second)))
	return 0, true
}

// evictIdle drops full buckets, so that the organizations in use bound the memory.
func (r *rates) evictIdle(now time.Time) {
	if now.Sub(r.swept) < idleRate {
		return
	}
	r.swept = now
	for organization, one := range r.buckets {
		if now.After(one.fullAt) {
			delete(r.buckets, organization)
		}
	}
}

// checkRates refuses the requests of organizations that send faster than they may. A transaction that is repeated takes
// nothing again.
func (intake *Intake) checkRates(working []*submission, found preconditions, now time.Time) {
	for _, submitted := range working {
		perSecond := found.allowed[submitted.organization()].perSecond
		if perSecond == 0 || submitted.taken {
			continue
		}
		var emails int64
		for i := range submitted.messages {
			if submitted.results[i].Refusal == nil {
				emails += submitted.messages[i].recipients()
			}
		}
		if emails == 0 {
			continue
		}
		wait, taken := intake.rates.take(submitted.organization(), perSecond, emails, now)
		submitted.taken = taken
		for i := range submitted.results {
			if !taken && submitted.results[i].Refusal == nil {
				submitted.results[i].Refusal = &Refusal{Reason: OrganizationLimit, RetryAfter: wait}
			}
		}
	}
}
