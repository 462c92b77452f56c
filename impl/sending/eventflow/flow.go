// Package eventflow watches whether SES reports what it accepted.
package eventflow

import (
	"context"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

const (
	// AmbiguousRetryDelay is the wait before retrying a message that SES may have accepted: its event usually
	// arrives first. Events come within seconds; SNS repeats an event that we did not take at first within the
	// minute.
	AmbiguousRetryDelay = time.Minute
	// ExpiredLeaseWait is the same for a message whose process died: its lease has already taken most of the time.
	// It also applies to a result that was stored late.
	ExpiredLeaseWait = 30 * time.Second
	// eventFlowWindow is how long after the last event of SES more are expected. Where no events arrive at all,
	// waiting for them would only delay mail.
	eventFlowWindow = 24 * time.Hour
	// eventFlowTTL is how long a yes is cached, noEventFlowTTL a no. A no is short-lived because the first events
	// arrive soon after the first message, and an attempt that is ambiguous by then must wait for its event.
	eventFlowTTL, noEventFlowTTL = 10 * time.Second, time.Second
)

// Flow caches whether events of SES arrive.
type Flow struct {
	store *store.Store

	mu        sync.Mutex
	checkedAt time.Time
	flowing   bool
}

// NewFlow returns a Flow that has not been read yet.
func NewFlow(database *store.Store) *Flow { return &Flow{store: database} }

// Expected reports whether SES can be expected to report what it accepted: whether any process has stored an
// event within eventFlowWindow. While that cannot be read, the last known value stands.
func (f *Flow) Expected(ctx context.Context, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	good := noEventFlowTTL
	if f.flowing {
		good = eventFlowTTL
	}
	if !f.checkedAt.IsZero() && now.Sub(f.checkedAt) < good {
		return f.flowing
	}
	latest, err := f.store.Queries().NotificationLatest(ctx)
	if err != nil && !store.IsNoRows(err) {
		return f.flowing
	}
	f.checkedAt, f.flowing = now, err == nil && now.Sub(latest) < eventFlowWindow
	return f.flowing
}

// ExpiredLeaseUntil returns when messages whose lease expired may be tried again. Nil means at once.
func (f *Flow) ExpiredLeaseUntil(ctx context.Context, now time.Time) *time.Time {
	if !f.Expected(ctx, now) {
		return nil
	}
	until := now.Add(ExpiredLeaseWait)
	return &until
}
