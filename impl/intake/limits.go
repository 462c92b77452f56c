package intake

import (
	"math"
	"time"

	"github.com/voostack/mailstack/gen/db"
)

const (
	day = 24 * time.Hour
	// warmUpDays is how long a new organization's limits grow before they end.
	warmUpDays = 30
	// warmUpSpread is the least time in seconds over which a day's emails of a new organization are spread.
	warmUpSpread = 100
)

// Limits are how many emails an organization may send, unless an operator has set limits of its own. Zero means no limit.
type Limits struct {
	Daily, PerSecond int64
	// WarmUp is what a new organization may send on its first day. It may send twice as many on each day that follows, as
	// long as it is not warned for its bounces or complaints, and without this limit after 30 days. It may send a hundredth
	// of that in a second.
	WarmUp int64
}

// allowed are the limits of one organization. Zero means no limit.
type allowed struct{ daily, perSecond int64 }

// of returns the limits of an organization.
func (l Limits) of(row db.AcceptancePreconditionsRow) allowed {
	warmUp := l.warmUp(row.GoodUntil.Sub(row.OrganizationCreatedAt))
	found := allowed{daily: lower(l.Daily, warmUp), perSecond: l.PerSecond}
	if warmUp > 0 {
		found.perSecond = lower(l.PerSecond, max(1, warmUp/warmUpSpread))
	}
	if row.DailyLimit != nil {
		found.daily = *row.DailyLimit
	}
	if row.PerSecondLimit != nil {
		found.perSecond = *row.PerSecondLimit
	}
	return found
}

// warmUp returns what an organization of an age may send in a day.
func (l Limits) warmUp(age time.Duration) int64 {
	days := max(0, age/day)
	if l.WarmUp <= 0 || days >= warmUpDays {
		return 0
	}
	if l.WarmUp > math.MaxInt64>>days {
		return math.MaxInt64
	}
	return l.WarmUp << days
}

// lower returns the lower of two limits.
func lower(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// dayOf returns the days since 1970 in UTC.
func dayOf(at time.Time) int32 { return int32(at.Unix() / int64(day/time.Second)) }

// dayRoom returns how many emails of the day are left, and how long until the next day.
func (a allowed) dayRoom(row db.UsageLockRow, now time.Time) (room int64, wait time.Duration) {
	if a.daily == 0 {
		return math.MaxInt64, 0
	}
	today := dayOf(now)
	room = a.daily
	if row.Day >= today {
		room -= row.DayEmails
	}
	next := time.Unix((int64(max(row.Day, today))+1)*int64(day/time.Second), 0)
	return room, next.Sub(now)
}
