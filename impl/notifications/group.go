package notifications

import (
	"context"
	"fmt"
	"slices"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
)

func (i *Inserter) enqueue(one *submission) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.waiting = append(i.waiting, one)
	if !i.active {
		i.active = true
		go i.run()
	}
}

// withdraw removes what waits no more, unless its transaction has begun.
func (i *Inserter) withdraw(one *submission) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if place := slices.Index(i.waiting, one); place >= 0 {
		i.waiting = slices.Delete(i.waiting, place, place+1)
	}
}

// run stores group after group until none waits.
func (i *Inserter) run() {
	for group := i.next(); len(group) > 0; group = i.next() {
		if dueAt := i.now(); i.storeAll(group) {
			i.store.NotifyNotifications(dueAt)
		}
		for _, one := range group {
			close(one.done)
		}
	}
}

func (i *Inserter) next() []*submission {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	count, notifications, bytes := 0, 0, 0
	for _, one := range i.waiting {
		notifications += len(one.notifications)
		bytes += one.bytes
		if count > 0 && (notifications > maxGroupSize || bytes > maxGroupBytes) {
			break
		}
		count++
	}
	group := slices.Clone(i.waiting[:count])
	i.waiting = slices.Delete(i.waiting, 0, count)
	i.active = count > 0
	return group
}

// storeAll stores a group, sets its errors, and reports whether anything was new. What Postgres refuses must not fail its
// neighbours: the group is halved until it is alone.
func (i *Inserter) storeAll(group []*submission) (added bool) {
	added, err := i.insert(group)
	if store.IsStatementError(err) && len(group) > 1 {
		middle := len(group) / 2
		first, second := i.storeAll(group[:middle]), i.storeAll(group[middle:])
		return first || second
	}
	for _, one := range group {
		one.err = err
	}
	return added
}

// insert tries twice where the database was not there: a connection of the pool may be dead, and doing so twice is doing so
// once.
func (i *Inserter) insert(group []*submission) (added bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	rows := db.NotificationInsertParams{Now: i.now()}
	for _, one := range group {
		for _, each := range one.notifications {
			rows.MessageIds = append(rows.MessageIds, each.ID)
			rows.Bodies = append(rows.Bodies, each.Body)
		}
	}
	count, err := i.store.Queries().NotificationInsert(ctx, rows)
	if store.IsUnavailable(err) && ctx.Err() == nil {
		count, err = i.store.Queries().NotificationInsert(ctx, rows)
	}
	if err != nil {
		return false, fmt.Errorf("store notifications: %w", err)
	}
	return count > 0, nil
}
