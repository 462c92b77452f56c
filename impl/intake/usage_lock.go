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
	free, err := intake.lockable(ctx, []uuid.UUID{organization})
	if err != nil {
		return err
	}
	if len(free) == 0 {
		return ErrOverloaded
	}
	intake.locked.remove(organization)
	return nil
}

// lockable returns the organizations whose usage row can be locked at this moment.
func (intake *Intake) lockable(ctx context.Context, organizations []uuid.UUID) (free []uuid.UUID, err error) {
	period := billing.PeriodAt(intake.config.Now()).Key
	err = intake.config.Store.TxPipelined(ctx, func(tx *db.Queries) error {
		free, err = tx.UsageLockable(ctx, db.UsageLockableParams{OrganizationIds: organizations, PeriodKey: period})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("try the usage rows: %w", err)
	}
	return free, nil
}

// refuseLocked ends the requests of a group whose organization's usage row is locked, and returns the others. It reports
// whether there was one: if not, something else has taken too long.
func (intake *Intake) refuseLocked(ctx context.Context, group []*submission) (others []*submission, found bool) {
	var organizations []uuid.UUID
	for _, submitted := range group {
		if organization := submitted.organization(); !slices.Contains(organizations, organization) {
			organizations = append(organizations, organization)
		}
	}
	free, err := intake.lockable(ctx, organizations)
	if err != nil || len(free) == len(organizations) {
		return nil, false
	}
	for _, submitted := range group {
		organization := submitted.organization()
		if slices.Contains(free, organization) {
			others = append(others, submitted)
			continue
		}
		intake.locked.add(organization, time.Now())
		submitted.finish(ErrOverloaded)
	}
	return others, true
}
