package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

// silenceTolerated is how long mail may go out without any event of SES.
const silenceTolerated = 10 * time.Minute

// silence remembers since when this process has sent mail of which SES said nothing.
type silence struct {
	mu    sync.Mutex
	since time.Time
}

func (s *silence) sent(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = at
	}
}

func (s *silence) began() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

// broken begins anew with what is sent next.
func (s *silence) broken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
}

// ListenForEvents warns when mail goes out and SES reports nothing: a topic, a subscription or an event destination is
// missing, and every status would stay at Sent.
func (d *Dispatcher) ListenForEvents(ctx context.Context) error {
	since := d.silence.began()
	now := d.config.Now()
	if since.IsZero() || now.Sub(since) < silenceTolerated {
		return nil
	}
	latest, err := d.config.Store.Queries().NotificationLatest(ctx)
	if err != nil && !store.IsNoRows(err) {
		return fmt.Errorf("ask when SES reported last: %w", err)
	}
	if err == nil && !latest.Before(since) {
		d.silence.broken()
		return nil
	}
	if d.quiet.allows("", now) {
		d.config.Log.WarnContext(ctx, "mail goes out and SES reports no events: check the event destination of the configuration "+
			"set, the subscription of the topic, and MAILSTACK_EVENTS_TOPICS or MAILSTACK_EVENTS_QUEUE; mailstack doctor does so", "since", since.UTC().Format(time.RFC3339))
	}
	return nil
}
