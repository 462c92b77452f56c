package eventflow

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/loglimit"
	"github.com/voostack/mailstack/impl/store"
)

// maxSilence is how long mail may go out without any event of SES before a warning.
const maxSilence = 10 * time.Minute

// Watchdog holds since when this process has sent mail without any event of SES; zero means that it has not.
type Watchdog struct {
	store *store.Store
	log   *slog.Logger
	logs  *loglimit.Limiter

	mu    sync.Mutex
	since time.Time
}

// NewWatchdog returns a watchdog that logs to log.
func NewWatchdog(database *store.Store, log *slog.Logger) *Watchdog {
	return &Watchdog{store: database, log: log, logs: loglimit.New(maxSilence)}
}

// MailSent notes that SES accepted a message.
func (s *Watchdog) MailSent(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = at
	}
}

func (s *Watchdog) unreportedSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

// reset makes the next mail that is sent the first one.
func (s *Watchdog) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
}

// Check logs a warning when mail has gone out for 10 minutes and SES has reported nothing: a topic, a
// subscription or an event destination is missing, and every status would stay at Sent.
func (s *Watchdog) Check(ctx context.Context, now time.Time) error {
	since := s.unreportedSince()
	if since.IsZero() || now.Sub(since) < maxSilence {
		return nil
	}
	latest, err := s.store.Queries().NotificationLatest(ctx)
	if err != nil && !store.IsNoRows(err) {
		return fmt.Errorf("ask when SES reported last: %w", err)
	}
	if err == nil && !latest.Before(since) {
		s.reset()
		return nil
	}
	if s.logs.Allow("", now) {
		s.log.WarnContext(ctx, "mail goes out but SES reports no events: check the event destination of the configuration "+
			"set, the subscription of the topic, and MAILSTACK_EVENTS_TOPICS or MAILSTACK_EVENTS_QUEUE; mailstack doctor checks them", "since", since.UTC().Format(time.RFC3339))
	}
	return nil
}
