package store

import (
	"context"
	"sync"
	"time"
)

// NotificationsChannel is the channel on which workers listen for notifications of SES that were stored.
const NotificationsChannel = "notifications"

const (
	// notifyDelay is how long the notifications of a channel are gathered into one.
	notifyDelay   = 5 * time.Millisecond
	notifyTimeout = 5 * time.Second
)

// notifier holds the channels with a notification to send.
type notifier struct {
	mutex   sync.Mutex
	pending map[string]bool
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
	_, _ = s.pool.Exec(ctx, "SELECT pg_notify($1, '')", channel)
}
