package store

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The channels on which workers listen for what was stored: messages to send, notifications of SES, and deliveries to
// webhooks.
const (
	SendsChannel         = "sends"
	NotificationsChannel = "notifications"
	DeliveriesChannel    = "deliveries"
)

const (
	// notifyDelay is how long the notifications of a channel are gathered into one.
	notifyDelay   = 5 * time.Millisecond
	notifyTimeout = 5 * time.Second
	// maxNotifiedLanes bounds a payload, which may have 8,000 bytes, and notifiedTogether how far apart its lanes are due.
	maxNotifiedLanes = 100
	notifiedTogether = time.Second
)

// originMark comes before the name of the store that sent a payload: its listeners know what it says. It stands where a lane
// would, as one that nothing is about.
const originMark = ",~"

// notifier holds the channels with a notification to send, and the sends to tell of.
type notifier struct {
	mutex   sync.Mutex
	pending map[string]*notice

	sends sendsNotice
	// telling is set while a goroutine tells of sends.
	telling bool
}

// sendsNotice holds the organizations with messages that have become due, and when the first of them is due.
type sendsNotice struct {
	dueAt         time.Time
	organizations map[uuid.UUID]bool
}

// notice is what to tell on a channel: lanes and when the first row of each is due, or that anything may be.
type notice struct {
	anything bool
	lanes    map[uuid.UUID]time.Time
}

// NotifySoon notifies a channel within milliseconds, without a payload: anything may be due. It is called after a commit. A
// notification in the transaction itself would make its commit, and its wait for the disk, exclude the commits of all other
// transactions that notify: Postgres keeps notifications in the order of commits by one lock for all databases.
//
// A notification that is lost with this process delays work until workers look by themselves.
func (s *Store) NotifySoon(channel string) {
	s.gather(channel, func(one *notice) { one.anything = true })
}

// NotifyLanes is NotifySoon for rows of these lanes that have become due at dueAt. Workers look there and nowhere else.
func (s *Store) NotifyLanes(channel string, dueAt time.Time, lanes ...uuid.UUID) {
	if len(lanes) == 0 {
		return
	}
	s.gather(channel, func(one *notice) {
		for _, lane := range lanes {
			if known, found := one.lanes[lane]; !found || dueAt.Before(known) {
				one.lanes[lane] = dueAt
			}
		}
	})
}

// NotifyNotifications is NotifyLanes for notifications of SES, which have no lanes.
func (s *Store) NotifyNotifications(dueAt time.Time) {
	s.NotifyLanes(NotificationsChannel, dueAt, uuid.Nil)
}

func (s *Store) gather(channel string, add func(one *notice)) {
	s.notifier.mutex.Lock()
	defer s.notifier.mutex.Unlock()
	if one := s.notifier.pending[channel]; one != nil {
		add(one)
		return
	}
	if s.notifier.pending == nil {
		s.notifier.pending = map[string]*notice{}
	}
	one := &notice{lanes: map[uuid.UUID]time.Time{}}
	add(one)
	s.notifier.pending[channel] = one
	time.AfterFunc(notifyDelay, func() { s.notify(channel) })
}

func (s *Store) notify(channel string) {
	s.notifier.mutex.Lock()
	one := s.notifier.pending[channel]
	delete(s.notifier.pending, channel)
	s.notifier.mutex.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	s.send(ctx, channel, one)
}

// send tells the listeners of this process at once, and other processes through Postgres.
func (s *Store) send(ctx context.Context, channel string, one *notice) {
	payloads := one.payloads()
	s.listeners.wake(channel, payloads)
	for i, payload := range payloads {
		if payload != "" { // an empty one says that anything may be due, and comes back
			payloads[i] += originMark + s.origin
		}
	}
	// Workers look by themselves, and the loss of the database is told elsewhere.
	_, _ = s.pool.Exec(ctx, "SELECT "+withoutFlush+", pg_notify($1, unnest($2::text[]))", channel, payloads)
}

// payloads returns what tells of a notice, in the form that SendNotify has. The lanes of a payload become due within a
// second, so that one that is due since long ago is no reason to look for old rows in the others.
func (n *notice) payloads() []string {
	var payloads []string
	if n.anything {
		payloads = append(payloads, "")
	}
	lanes := slices.SortedFunc(maps.Keys(n.lanes), func(a, b uuid.UUID) int { return n.lanes[a].Compare(n.lanes[b]) })
	for len(lanes) > 0 {
		first, count := n.lanes[lanes[0]], 1
		payload := strconv.FormatInt(first.UnixMicro(), 10) + " " + lanes[0].String()
		for count < min(len(lanes), maxNotifiedLanes) && n.lanes[lanes[count]].Sub(first) < notifiedTogether {
			payload += "," + lanes[count].String()
			count++
		}
		payloads = append(payloads, payload)
		lanes = lanes[count:]
	}
	return payloads
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

func (s *Store) notifySends(told sendsNotice) {
	ctx, cancel := context.WithTimeout(context.Background(), notifyTimeout)
	defer cancel()
	one := &notice{lanes: map[uuid.UUID]time.Time{}}
	for organization := range told.organizations {
		one.lanes[organization] = told.dueAt
	}
	s.send(ctx, SendsChannel, one)
}
