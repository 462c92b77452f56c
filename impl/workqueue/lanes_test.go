package workqueue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/workqueue"
)

// index is a table with lanes, whose survey takes a while.
type index struct {
	rows    map[uuid.UUID]time.Time
	takes   time.Duration
	surveys int
	err     error
	failed  error
}

func (x *index) lanes() *workqueue.Lanes {
	return workqueue.NewLanes(func(context.Context) (map[uuid.UUID]time.Time, error) {
		x.surveys++
		found := map[uuid.UUID]time.Time{}
		for lane, dueAt := range x.rows {
			found[lane] = dueAt
		}
		<-time.After(x.takes)
		return found, x.err
	}, func(err error) { x.failed = err })
}

// slack is how much earlier than its floor a lane is looked at.
const slack = 250 * time.Millisecond

// wantDue demands lanes and floors; a lane that is left out must not be due.
func wantDue(t *testing.T, l *workqueue.Lanes, when string, want map[uuid.UUID]time.Time) {
	t.Helper()
	lanes, floors, err := l.Due(t.Context(), time.Now())
	if err != nil || len(lanes) != len(want) {
		t.Fatalf("%s: %d lanes are due, want %d: %v", when, len(lanes), len(want), err)
	}
	for i, lane := range lanes {
		if floor, found := want[lane]; !found || !floors[i].Equal(floor.Add(-slack)) {
			t.Errorf("%s: the floor is %s, want %s", when, floors[i], floor.Add(-slack))
		}
	}
}

func TestCheapSurveysPrecedeEveryClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := uuid.New(), uuid.New()
		now := time.Now()
		x := &index{rows: map[uuid.UUID]time.Time{a: now, b: now.Add(time.Minute)}}
		l := x.lanes()
		wantDue(t, l, "at first", map[uuid.UUID]time.Time{a: now})
		x.rows = map[uuid.UUID]time.Time{b: now}
		wantDue(t, l, "then", map[uuid.UUID]time.Time{b: now})
		x.err = errors.New("no database")
		if _, _, err := l.Due(t.Context(), now); !errors.Is(err, x.err) {
			t.Errorf("it fails with %v", err)
		}
	})
}

func TestDearSurveysAreMadeBesideClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := uuid.New(), uuid.New(), uuid.New()
		began := time.Now()
		x := &index{rows: map[uuid.UUID]time.Time{a: began}, takes: 100 * time.Millisecond}
		l := x.lanes()
		wantDue(t, l, "the first is waited for", map[uuid.UUID]time.Time{a: began})

		x.rows = map[uuid.UUID]time.Time{a: began.Add(time.Second), b: began}
		accepted := time.Now()
		l.Notified("nonsense")
		l.Notified("")
		l.Notified("12 " + a.String()[:8])
		l.Notified("1 ")
		wantDue(t, l, "the next is not made", map[uuid.UUID]time.Time{a: began})
		l.Lower(c, accepted)
		wantDue(t, l, "a lane that was named", map[uuid.UUID]time.Time{a: began, c: accepted})
		l.Raise(a, accepted)
		wantDue(t, l, "what a claim left", map[uuid.UUID]time.Time{a: accepted, c: accepted})
		l.Lower(a, began)
		l.Raise(a, accepted)
		wantDue(t, l, "a claim does not know of what came meanwhile", map[uuid.UUID]time.Time{a: began, c: accepted})

		// Twenty times as long as a survey takes.
		<-time.After(2*time.Second - time.Millisecond)
		wantDue(t, l, "before it is time", map[uuid.UUID]time.Time{a: began, c: accepted})
		<-time.After(time.Millisecond)
		wantDue(t, l, "while it is made", map[uuid.UUID]time.Time{a: began, c: accepted})
		synctest.Wait()
		late := time.Now()
		l.Lower(c, late)
		l.Wait()
		wantDue(t, l, "it finds what was not named, and keeps what was named meanwhile",
			map[uuid.UUID]time.Time{a: began.Add(time.Second), b: began, c: late})
		if x.surveys != 2 {
			t.Errorf("%d surveys were made", x.surveys)
		}

		x.err = errors.New("no database")
		<-time.After(2 * time.Second)
		wantDue(t, l, "one that fails", map[uuid.UUID]time.Time{a: began.Add(time.Second), b: began, c: late})
		l.Wait()
		if !errors.Is(x.failed, x.err) {
			t.Errorf("it told %v", x.failed)
		}
		wantDue(t, l, "changes nothing", map[uuid.UUID]time.Time{a: began.Add(time.Second), b: began, c: late})

		x.err, x.rows = nil, map[uuid.UUID]time.Time{c: began}
		l.Forget()
		wantDue(t, l, "one that is wanted", map[uuid.UUID]time.Time{c: began})
	})
}

func TestNotificationsNameLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := &index{takes: time.Second}
		l := x.lanes()
		wantDue(t, l, "nothing is there", nil)
		a, b := uuid.New(), uuid.New()
		l.Notified("1000000 " + a.String() + "," + b.String())
		wantDue(t, l, "two are named", map[uuid.UUID]time.Time{a: time.Unix(1, 0), b: time.Unix(1, 0)})
	})
}
