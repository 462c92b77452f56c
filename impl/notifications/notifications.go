// Package notifications stores the notifications of Amazon SES as they came, for package sesevents to read.
//
//   - notifications.go: [Inserter]; what was given to it, and its answers
//   - group.go: what arrives together is stored together
package notifications

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/voostack/mailstack/impl/store"
)

const (
	// maxGroupSize bounds how many notifications a transaction stores, maxGroupBytes how many bytes of bodies. Each transaction
	// has at least what was given together.
	maxGroupSize  = 256
	maxGroupBytes = 4 << 20
	// storeTimeout bounds a transaction.
	storeTimeout = 10 * time.Second
)

// Notification is what SES reported, under the id that identifies it, however often it comes.
type Notification struct{ ID, Body string }

// Inserter stores notifications in groups: those that arrive while one group is being committed form the next, so none
// waits for a timer. It is safe for concurrent use.
type Inserter struct {
	store *store.Store
	now   func() time.Time

	mutex   sync.Mutex
	waiting []*submission
	active  bool // a goroutine stores groups
}

// NewInserter returns an Inserter.
func NewInserter(database *store.Store, now func() time.Time) *Inserter {
	return &Inserter{store: database, now: now}
}

// submission is what one call of Insert was given, and its answer.
type submission struct {
	notifications []Notification
	bytes         int
	done          chan struct{} // closed when err is set
	err           error
}

// Insert stores notifications in one transaction, each once, together with others, and returns after its commit. It wakes
// the workers. A repetition changes nothing, so that a caller for whom it failed may try again, also when ctx ended.
func (i *Inserter) Insert(ctx context.Context, notifications ...Notification) error {
	if len(notifications) == 0 {
		return nil
	}
	one := &submission{done: make(chan struct{})}
	for _, each := range notifications {
		each.Body = storable(each.Body)
		one.notifications = append(one.notifications, each)
		one.bytes += len(each.Body)
	}
	i.enqueue(one)
	select {
	case <-one.done:
		return one.err
	case <-ctx.Done():
		i.withdraw(one)
		return ctx.Err()
	}
}

// storable removes what Postgres does not accept as text.
func storable(body string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(body, ""), "\x00", "")
}
