package intake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/billing"
)

const (
	// usageLockWait bounds how long a transaction, and with it every request in it, waits for usage rows.
	usageLockWait = 300 * time.Millisecond
	// usageLockRetry is how long an organization whose row could not be locked is refused before its row is tried again.
	usageLockRetry = time.Second
)

// lockedUsage remembers the organizations whose usage row another transaction holds for long. Their requests are refused
// before they join a group, whose other requests would wait with them.
type lockedUsage struct {
	mutex sync.Mutex
	until map[uuid.UUID]time.Time
}

// refuse reports whether the requests of an organization are refused for now. When the time is over, exactly one caller
// is told to try the row, while the others are still refused.
func (l *lockedUsage) refuse(organization uuid.UUID, now time.Time) (refused, try bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	until, locked := l.until[organization]
	if !locked {
		return false, false
	}
	if now.Before(until) {
		return true, false
	}
	l.until[organization] = now.Add(usageLockRetry)
	return false, true
}

func (l *lockedUsage) add(organization uuid.UUID, now time.Time) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.until == nil {
		l.until = make(map[uuid.UUID]time.Time)
	}
	l.until[organization] = now.Add(usageLockRetry)
}

func (l *lockedUsage) remove(organization uuid.UUID) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	delete(l.until, organization)
}

// checkUsageLock returns [ErrOverloaded] for an organization whose usage row is locked.
func (intake *Intake) checkUsageLock(ctx context.Context, organization uuid.UUID) error {
	refused, try := intake.locked.refuse(organization, time.Now())
	if refused {
		return ErrOverloaded
	}
	if !try {
		return nil
	}
	locked, err := intake.lockedAmong(ctx, []uuid.UUID{organization})
	if err != nil {
		return err
	}
	if len(locked) > 0 {
		return ErrOverloaded
	}
	intake.locked.remove(organization)
	return nil
}

// lockedAmong returns those of the organizations whose usage row another transaction locks at this moment.
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

// refuseLocked ends the requests of a group whose organization's usage row is locked, and returns the others. These are
// all of them where what held the transaction up is over, as after a slow commit of another process.
func (intake *Intake) refuseLocked(ctx context.Context, group []*submission) (others []*submission, err error) {
	var organizations []uuid.UUID
	for _, submitted := range group {
		if organization := submitted.organization(); !slices.Contains(organizations, organization) {
			organizations = append(organizations, organization)
		}
	}
	locked, err := intake.lockedAmong(ctx, organizations)
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
		submitted.finish(ErrOverloaded)
	}
	return others, nil
}
