package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/billing"
)

const (
	// usageLockWait bounds how long a transaction, and with it every request in it, waits for usage rows.
	usageLockWait = 100 * time.Millisecond
	// usageLockGrace is how long the requests of an organization then wait by themselves for its row: a commit of another
	// process may take that long when a disk stalls.
	usageLockGrace = time.Second
	// usageLockLook is the time between two looks at the row meanwhile, usageLockRetry the same afterwards, when the
	// organization is refused.
	usageLockLook  = 100 * time.Millisecond
	usageLockRetry = time.Second
	// usageLockRounds bounds how often one request meets its row locked.
	usageLockRounds = 3
)

// errUsageLocked ends a submission whose organization's usage row is locked.
var errUsageLocked = errors.New("the usage row is locked")

// lockedUsage remembers the organizations whose usage row another transaction holds for long. Their requests wait, and are
// refused in the end, before they join a group, whose other requests would wait with them.
type lockedUsage struct {
	mutex sync.Mutex
	rows  map[uuid.UUID]lockedRow
}

// lockedRow is since when a row is locked, and when to look at it next.
type lockedRow struct{ since, next time.Time }

// A usageLook says what a request has to do about the usage row of its organization.
type usageLook int

const (
	usageFree usageLook = iota
	usageTry            // look whether the row is free by now: one caller is told so at a time
	usageWait
	usageRefuse
)

func (l *lockedUsage) look(organization uuid.UUID, now time.Time) usageLook {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	row, locked := l.rows[organization]
	if !locked {
		return usageFree
	}
	ends := row.since.Add(usageLockGrace)
	if now.Before(row.next) {
		if now.Before(ends) {
			return usageWait
		}
		return usageRefuse
	}
	row.next = now.Add(usageLockLook)
	if !row.next.Before(ends) {
		row.next = now.Add(usageLockRetry)
	}
	l.rows[organization] = row
	return usageTry
}

func (l *lockedUsage) add(organization uuid.UUID, now time.Time) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.rows == nil {
		l.rows = make(map[uuid.UUID]lockedRow)
	}
	if _, known := l.rows[organization]; !known {
		l.rows[organization] = lockedRow{since: now, next: now.Add(usageLockLook)}
	}
}

func (l *lockedUsage) remove(organization uuid.UUID) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.rows, organization)
}

// awaitUsage returns when the usage row of an organization is not known to be locked, or [ErrOverloaded] when it has been
// for too long.
func (intake *Intake) awaitUsage(ctx context.Context, organization uuid.UUID) error {
	for {
		switch intake.locked.look(organization, time.Now()) {
		case usageFree:
			return nil
		case usageRefuse:
			return ErrOverloaded
		case usageTry:
			locked, err := intake.lockedAmong(ctx, []uuid.UUID{organization})
			if err != nil {
				return err
			}
			if len(locked) == 0 {
				intake.locked.remove(organization)
			}
		case usageWait:
			if err := backoff.Sleep(ctx, usageLockLook/2); errors.Is(err, context.DeadlineExceeded) {
				return ErrOverloaded
			} else if err != nil {
				return err
			}
		}
	}
}

// submit submits a request when its organization's usage row is free.
func (intake *Intake) submit(queue *commitQueue, submitted *submission) error {
	for range usageLockRounds {
		if err := intake.awaitUsage(submitted.ctx, submitted.organization()); err != nil {
			return err
		}
		if err := queue.submit(submitted); !errors.Is(err, errUsageLocked) {
			return err
		}
		submitted.err, submitted.done = nil, make(chan struct{})
	}
	return ErrOverloaded
}

// lockedAmong returns the organizations whose usage row another transaction locks at this moment.
func (intake *Intake) lockedAmong(ctx context.Context, organizations []uuid.UUID) (locked []uuid.UUID, err error) {
	period := billing.PeriodAt(intake.config.Now()).Key
	err = intake.config.Store.TxPipelined(ctx, func(tx *db.Queries) error {
		locked, err = tx.UsageLocked(ctx, db.UsageLockedParams{OrganizationIds: organizations, PeriodKey: period})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("try the usage rows: %w", err)
	}
	return locked, nil
}

// setAsideLocked ends the submissions of a group whose organization's usage row is locked, and returns the others. These are
// all of them where what held the transaction up is over, as after a slow commit of another process.
func (intake *Intake) setAsideLocked(ctx context.Context, group []*submission) (others []*submission, err error) {
	locked, err := intake.lockedAmong(ctx, organizationsOf(group))
	if err != nil {
		return nil, err
	}
	for _, submitted := range group {
		organization := submitted.organization()
		if !slices.Contains(locked, organization) {
			others = append(others, submitted)
			continue
		}
		intake.locked.add(organization, time.Now())
		submitted.finish(errUsageLocked)
	}
	return others, nil
}
