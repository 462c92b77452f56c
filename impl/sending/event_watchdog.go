package sending

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

// maxEventSilence is how long mail may go out without any event of SES.
const maxEventSilence = 10 * time.Minute

// watchdog remembers since when this process has sent mail of which SES said nothing.
type eventWatchdog struct {
	mu    sync.Mutex
	since time.Time
}

func (s *eventWatchdog) mailSent(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = at
	}
}

func (s *eventWatchdog) unreportedSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

// reset begins anew with what is sent next.
func (s *eventWatchdog) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
}

// WarnIfNoEvents warns when mail goes out and SES reports nothing: a topic, a subscription or an event destination is
// missing, and every status would stay at Sent.
func (s *Sender) WarnIfNoEvents(ctx context.Context) error {
	since := s.watchdog.unreportedSince()
	now := s.config.Now()
	if since.IsZero() || now.Sub(since) < maxEventSilence {
		return nil
	}
	latest, err := s.config.Store.Queries().NotificationLatest(ctx)
	if err != nil && !store.IsNoRows(err) {
		return fmt.Errorf("ask when SES reported last: %w", err)
	}
	if err == nil && !latest.Before(since) {
		s.watchdog.reset()
		return nil
	}
	if s.operatorLogs.Allow("", now) {
		s.config.Log.WarnContext(ctx, "mail goes out and SES reports no events: check the event destination of the configuration "+
			"set, the subscription of the topic, and MAILSTACK_EVENTS_TOPICS or MAILSTACK_EVENTS_QUEUE; mailstack doctor does so", "since", since.UTC().Format(time.RFC3339))
	}
	return nil
}
