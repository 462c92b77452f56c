package sending

import (
	"context"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

const (
	// ambiguousRetryDelay is the wait before retrying a message that SES may have accepted: its event usually
	// arrives first. Events come within seconds; SNS repeats an event that we did not take at first within the
	// minute.
	ambiguousRetryDelay = time.Minute
	// expiredLeaseWait is the same for a message whose process died: its lease has already taken most of the time.
	// It also applies to a result that was stored late.
	expiredLeaseWait = 30 * time.Second
	// eventFlowWindow is how long after the last event of SES more are expected. Where no events arrive at all,
	// waiting for them would only delay mail.
	eventFlowWindow = 24 * time.Hour
	// eventFlowTTL is how long a yes is cached, noEventFlowTTL a no. A no is short-lived because the first events
	// arrive soon after the first message, and an attempt that is ambiguous by then must wait for its event.
	eventFlowTTL, noEventFlowTTL = 10 * time.Second, time.Second
)

// eventFlow caches whether events of SES arrive.
type eventFlow struct {
	mu        sync.Mutex
	checkedAt time.Time
	flowing   bool
}

// eventsFlowing reports whether SES can be expected to report what it accepted: whether any process has stored an
// event within eventFlowWindow. While that cannot be read, the last known value stands.
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

// expiredLeaseUntil returns when messages whose lease expired may be tried again. Nil means at once.
func (s *Sender) expiredLeaseUntil(ctx context.Context, now time.Time) *time.Time {
	if !s.eventsFlowing(ctx, now) {
		return nil
	}
	until := now.Add(expiredLeaseWait)
	return &until
}
