package intake

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// maxRest bounds how long an organization rests after a transaction.
	maxRest = 25 * time.Millisecond
	// activeFor is how long an organization counts as active after a request.
	activeFor = time.Second
)

// rests keep organizations that send much from taking the processors from all others: while the processors are short and
// another organization is active, one that had several messages in a transaction waits for as long as that took before its
// next. What it sends meanwhile shares that one, so that it costs less; what others send does not wait. An organization that
// is alone on the server never rests.
type rests struct {
	pressure func() bool

	mutex  sync.Mutex
	until  map[uuid.UUID]time.Time
	active map[uuid.UUID]time.Time
	swept  time.Time
}

func newRests(pressure func() bool) *rests {
	if pressure == nil {
		pressure = func() bool { return false }
	}
	return &rests{pressure: pressure, until: map[uuid.UUID]time.Time{}, active: map[uuid.UUID]time.Time{}}
}

// came notes a request of an organization.
func (r *rests) came(organization uuid.UUID) {
	now := time.Now()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.sweep(now)
	r.active[organization] = now
}

// left returns how long an organization still rests.
func (r *rests) left(organization uuid.UUID) time.Duration {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	until, resting := r.until[organization]
	if !resting {
		return 0
	}
	return time.Until(until)
}

// begin has the organizations that had several messages in a transaction rest, which took a time.
func (r *rests) begin(group []*submission, took time.Duration) {
	if !r.pressure() {
		return
	}
	messages := map[uuid.UUID]int{}
	for _, submitted := range group {
		messages[submitted.organization()] += len(submitted.messages)
	}
	now := time.Now()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.sweep(now)
	if len(r.active) < 2 {
		return
	}
	for organization, count := range messages {
		if count > 1 {
			r.until[organization] = now.Add(min(took, maxRest))
		}
	}
}

// sweep drops what is over, so that the organizations in use bound the memory. The mutex must be held.
func (r *rests) sweep(now time.Time) {
	if now.Sub(r.swept) < activeFor/10 {
		return
	}
	r.swept = now
	for organization, at := range r.active {
		if now.Sub(at) >= activeFor {
			delete(r.active, organization)
		}
	}
	for organization, until := range r.until {
		if !until.After(now) {
			delete(r.until, organization)
		}
	}
}
