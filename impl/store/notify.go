package store

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

// The channels on which workers listen for what was stored: notifications of SES, and deliveries to webhooks.
const (
	NotificationsChannel = "notifications"
	DeliveriesChannel    = "deliveries"
)

const (
	// notifyDelay is how long the notifications of a channel are gathered into one.
	notifyDelay   = 5 * time.Millisecond
	notifyTimeout = 5 * time.Second
)

// notifier holds the channels with a notification to send, and the sends to tell of.
type notifier struct {
	mutex   sync.Mutex
	pending map[string]bool

	sends sendsNotice
	// telling is set while a goroutine tells of sends.
	telling bool
}

// sendsNotice holds the organizations with messages that have become due, and when the first of them is due.
type sendsNotice struct {
	dueAt         time.Time
	organizations map[uuid.UUID]bool
}

// NotifySoon notifies a channel, without a payload, within milliseconds. It is called after a commit. A notification in the
// transaction itself would make its commit, and its wait for the disk, exclude the commits of all other transactions that
// notify: Postgres keeps notifications in the order of commits by one lock for all databases.
//
// A notification that is lost with this process delays work until workers look by themselves.
func (s *Store) NotifySoon(channel string) {
	s.notifier.mutex.Lock()
	defer s.notifier.mutex.Unlock()
	if s.notifier.pending[channel] {
		return
	}
	if s.notifier.pending == nil {
		s.notifier.pending = map[string]bool{}
	}
	s.notifier.pending[channel] = true
	time.AfterFunc(notifyDelay, func() { s.notify(channel) })
}

func (s *Store) notify(channel string) {
	s.notifier.mutex.Lock()
	delete(s.notifier.pending, channel)
	s.notifier.mutex.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	// Workers look by themselves, and the loss of the database is told elsewhere.
	_, _ = s.pool.Exec(ctx, "SELECT "+withoutFlush+", pg_notify($1, '')", channel)
}

// withoutFlush lets the commit of a transaction that only notifies return before it is on disk, where it has nothing to
// keep: other transactions that notify wait for it.
const withoutFlush = "set_config('synchronous_commit', 'off', true)"

// NotifySends wakes the workers for messages of organizations that have become due at dueAt, as [Store.NotifySoon] does. It
// does not wait for more of them, but those that come while a notification is under way share the next.
func (s *Store) NotifySends(dueAt time.Time, organizations []uuid.UUID) {
	s.notifier.mutex.Lock()
	defer s.notifier.mutex.Unlock()
	notice := &s.notifier.sends
	if notice.organizations == nil {
		*notice = sendsNotice{dueAt: dueAt, organizations: map[uuid.UUID]bool{}}
	}
	if dueAt.Before(notice.dueAt) {
		notice.dueAt = dueAt
	}
	for _, organization := range organizations {
		notice.organizations[organization] = true
	}
	if !s.notifier.telling {
		s.notifier.telling = true
		go s.tellOfSends()
	}
}

func (s *Store) tellOfSends() {
	for {
		s.notifier.mutex.Lock()
		notice := s.notifier.sends
		s.notifier.sends = sendsNotice{}
		s.notifier.telling = notice.organizations != nil
		s.notifier.mutex.Unlock()
		if notice.organizations == nil {
			return
		}
		s.notifySends(notice)
	}
}

func (s *Store) notifySends(notice sendsNotice) {
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	// As in notify, an error costs time only.
	_ = s.queries.SendNotifyAlone(ctx, db.SendNotifyAloneParams{
		DueAt: notice.dueAt, OrganizationIds: slices.Collect(maps.Keys(notice.organizations)),
	})
}
