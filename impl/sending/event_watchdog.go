package sending

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

// maxEventSilence is how long mail may go out without any event of SES before a warning.
const maxEventSilence = 10 * time.Minute

// eventWatchdog holds since when this process has sent mail without any event of SES; zero means that it has not.
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

// reset makes the next mail that is sent the first one.
func (s *eventWatchdog) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
}

// WarnIfNoEvents logs a warning when mail has gone out for 10 minutes and SES has reported nothing: a topic, a
// subscription or an event destination is missing, and every status would stay at Sent.
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
		s.config.Log.WarnContext(ctx, "mail goes out but SES reports no events: check the event destination of the configuration "+
			"set, the subscription of the topic, and MAILSTACK_EVENTS_TOPICS or MAILSTACK_EVENTS_QUEUE; mailstack doctor checks them", "since", since.UTC().Format(time.RFC3339))
	}
	return nil
}
