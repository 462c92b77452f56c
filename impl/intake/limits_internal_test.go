package intake

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

func TestLimitsOfAnOrganization(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	number := func(n int64) *int64 { return &n }
	for name, test := range map[string]struct {
		limits       Limits
		age          time.Duration
		daily, rate  *int64
		wantDay, per int64
	}{
		"none":                        {},
		"the default":                 {limits: Limits{Daily: 1000, PerSecond: 10}, wantDay: 1000, per: 10},
		"one of its own":              {limits: Limits{Daily: 1000, PerSecond: 10, WarmUp: 1}, daily: number(7), rate: number(3), wantDay: 7, per: 3},
		"none of its own":             {limits: Limits{Daily: 1000, PerSecond: 10, WarmUp: 1}, daily: number(0), rate: number(0)},
		"the first day":               {limits: Limits{WarmUp: 200}, age: 23 * time.Hour, wantDay: 200, per: 2},
		"few on the first day":        {limits: Limits{WarmUp: 20}, wantDay: 20, per: 1},
		"a clock that is behind":      {limits: Limits{WarmUp: 200}, age: -time.Hour, wantDay: 200, per: 2},
		"the fourth day":              {limits: Limits{WarmUp: 200}, age: 3 * day, wantDay: 1600, per: 16},
		"warming up to the default":   {limits: Limits{Daily: 1000, PerSecond: 10, WarmUp: 200}, age: 3 * day, wantDay: 1000, per: 10},
		"the end of the warm-up":      {limits: Limits{WarmUp: 200}, age: 30 * day},
		"a warm-up beyond all bounds": {limits: Limits{WarmUp: 1 << 62}, age: 3 * day, wantDay: 1<<63 - 1, per: (1<<63 - 1) / 100},
	} {
		got := test.limits.of(db.AcceptancePreconditionsRow{
			OrganizationCreatedAt: created, GoodUntil: created.Add(test.age), DailyLimit: test.daily, PerSecondLimit: test.rate,
		})
		if got != (allowed{test.wantDay, test.per}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A process whose clock is behind counts in the day that has begun elsewhere.
func TestTheRoomOfADay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 23, 59, 0, 0, time.UTC)
	today := dayOf(now)
	for name, test := range map[string]struct {
		day  int32
		room int64
		wait time.Duration
	}{
		"nothing yet": {today - 1, 10, time.Minute},
		"some":        {today, 6, time.Minute},
		"tomorrow":    {today + 1, 6, time.Minute + day},
	} {
		room, wait := allowed{daily: 10}.dayRoom(db.UsageLockRow{Day: test.day, DayEmails: 4}, now)
		if room != test.room || wait != test.wait {
			t.Errorf("%s: %d emails until in %s", name, room, wait)
		}
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	var r rates
	one, now := uuid.New(), time.Unix(1_000_000, 0)
	if _, taken := r.take(one, 10, 100, now); !taken {
		t.Fatal("a batch is refused that meets a full bucket")
	}
	if wait, taken := r.take(one, 10, 1, now); taken || wait != 8100*time.Millisecond {
		t.Errorf("80 beyond the bucket: taken %t, wait %s", taken, wait)
	}
	if _, taken := r.take(uuid.New(), 10, 1, now); !taken {
		t.Error("another organization waits, too")
	}
	r.take(uuid.New(), 10, 1, now.Add(2*idleRate))
	if len(r.buckets) != 1 {
		t.Errorf("%d buckets are kept", len(r.buckets))
	}
}
