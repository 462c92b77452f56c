package sending

import (
	"context"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

const (
	// ambiguousRetryDelay is how long a message that SES may have taken is not tried again, so that SES can tell that it did. Its
	// events come within seconds; SNS repeats those that we did not take at first within the minute.
	ambiguousRetryDelay = time.Minute
	// expiredLeaseWait is the same for a message whose process died: the lease has been most of the time. It is also for one
	// whose outcome could not be stored before.
	expiredLeaseWait = 30 * time.Second
	// eventFlowWindow is how long after the last event of SES others are waited for. Where none arrives at all, waiting would
	// only delay.
	eventFlowWindow = 24 * time.Hour
	// eventFlowTTL is how long it is good for that some have arrived, reportsMissed that none has: the first come soon after
	// the first message, and what is ambiguous by then is to wait for them.
	eventFlowTTL, noEventFlowTTL = 10 * time.Second, time.Second
)

// eventFlow remembers whether events of SES arrive.
type eventFlow struct {
	mu        sync.Mutex
	checkedAt time.Time
	flowing   bool
}

// eventsFlowing reports whether SES can be expected to tell what it took: events that any process stored are for all. While
// that cannot be looked up, what was known stands.
func (s *Sender) eventsFlowing(ctx context.Context, now time.Time) bool {
	s.eventFlow.mu.Lock()
	defer s.eventFlow.mu.Unlock()
	good := noEventFlowTTL
	if s.eventFlow.flowing {
		good = eventFlowTTL
	}
	if !s.eventFlow.checkedAt.IsZero() && now.Sub(s.eventFlow.checkedAt) < good {
		return s.eventFlow.flowing
	}
	latest, err := s.config.Store.Queries().NotificationLatest(ctx)
	if err != nil && !store.IsNoRows(err) {
		return s.eventFlow.flowing
	}
	s.eventFlow.checkedAt, s.eventFlow.flowing = now, err == nil && now.Sub(latest) < eventFlowWindow
	return s.eventFlow.flowing
}

// expiredLeaseUntil is when messages of processes that died may be tried again; nil is at once.
func (s *Sender) expiredLeaseUntil(ctx context.Context, now time.Time) *time.Time {
	if !s.eventsFlowing(ctx, now) {
		return nil
	}
	until := now.Add(expiredLeaseWait)
	return &until
}
