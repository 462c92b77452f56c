package workqueue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/workqueue"
)

// ordered is a table whose claims do not know what they leave. Its survey is dear, so that heads precede claims.
type ordered struct {
	rows   map[uuid.UUID][]time.Time
	asked  map[uuid.UUID]time.Time // the floors that heads was given last
	during func()                  // runs after heads has read the rows
}

func (o *ordered) lanes() *workqueue.Lanes {
	first := func(lane uuid.UUID, floor time.Time) (head time.Time, found bool) {
		for _, dueAt := range o.rows[lane] {
			if !dueAt.Before(floor) && (!found || dueAt.Before(head)) {
				head, found = dueAt, true
			}
		}
		return head, found
	}
	return workqueue.NewLanesWithHeads(func(context.Context) (map[uuid.UUID]time.Time, error) {
		found := map[uuid.UUID]time.Time{}
		for lane := range o.rows {
			if head, any := first(lane, time.Time{}); any {
				found[lane] = head
			}
		}
		<-time.After(100 * time.Millisecond)
		return found, nil
	}, func(_ context.Context, lanes []uuid.UUID, floors []time.Time) (map[uuid.UUID]time.Time, error) {
		found := map[uuid.UUID]time.Time{}
		o.asked = map[uuid.UUID]time.Time{}
		for i, lane := range lanes {
			o.asked[lane] = floors[i]
			if head, any := first(lane, floors[i]); any {
				found[lane] = head
			}
		}
		if o.during != nil {
			o.during()
		}
		return found, nil
	}, nil)
}

func (o *ordered) wantDue(t *testing.T, l *workqueue.Lanes, when string, want map[uuid.UUID]time.Time) {
	t.Helper()
	lanes, floors, err := l.Due(t.Context(), time.Now())
	if err != nil || len(lanes) != len(want) {
		t.Fatalf("%s: %d lanes are due, want %d: %v", when, len(lanes), len(want), err)
	}
	for i, lane := range lanes {
		if floor, found := want[lane]; !found || !floors[i].Equal(floor) {
			t.Errorf("%s: the floor is %s, want %s", when, floors[i], floor)
		}
	}
}

func TestHeadsRaiseFloors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := uuid.New(), uuid.New()
		began := time.Now()
		at := func(after time.Duration) time.Time { return began.Add(after) }
		o := &ordered{rows: map[uuid.UUID][]time.Time{a: {began}}}
		l := o.lanes()
		_, _, err := l.Due(t.Context(), time.Now()) // with the survey, which is found to be dear
		if err != nil {
			t.Fatal(err)
		}

		o.rows[a] = []time.Time{at(90 * time.Millisecond), at(time.Minute)}
		o.wantDue(t, l, "the first is taken", map[uuid.UUID]time.Time{a: at(90 * time.Millisecond)})
		o.rows[a] = []time.Time{at(time.Minute)}
		o.wantDue(t, l, "what is left is to come", nil)
		if floor := o.asked[a]; !floor.Equal(at(90*time.Millisecond - slack)) {
			t.Errorf("it was looked for from %s on", floor)
		}
		o.rows[a] = append(o.rows[a], at(100*time.Millisecond))
		o.wantDue(t, l, "another process put one back, as of now", map[uuid.UUID]time.Time{a: at(100 * time.Millisecond)})

		o.rows[a] = nil
		o.wantDue(t, l, "none is left", nil)
		o.wantDue(t, l, "the lane is forgotten", nil)
		o.rows[a], o.rows[b] = []time.Time{at(-time.Hour)}, []time.Time{at(0)}
		l.Lower(a, at(-time.Hour))
		o.wantDue(t, l, "by a clock that is behind", map[uuid.UUID]time.Time{a: at(-time.Hour)})
		l.Lower(b, at(0))
		o.rows[a] = nil
		o.during = func() {
			o.rows[a] = []time.Time{at(-time.Minute)}
			l.Lower(a, at(-time.Minute))
			o.rows[b] = append(o.rows[b], at(-time.Second))
			l.Lower(b, at(-time.Second))
		}
		o.wantDue(t, l, "while more come", map[uuid.UUID]time.Time{b: at(0)})
		o.during = nil
		o.wantDue(t, l, "they are found", map[uuid.UUID]time.Time{a: at(-time.Minute), b: at(-time.Second)})
	})
}

func TestFloor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := workqueue.NewFloor()
		began := time.Now()
		look := func(when string, takes time.Duration, from, left time.Time) {
			t.Helper()
			take := f.Begin()
			if want := from; !take.From.Equal(want) {
				t.Errorf("%s: it begins at %s, want %s", when, take.From, want)
			}
			<-time.After(takes)
			f.End(take, left)
		}
		var all time.Time
		look("a cheap one", time.Millisecond, all, began)
		look("after a cheap one", 100*time.Millisecond, all, began.Add(time.Second))
		look("after a dear one", time.Millisecond, began.Add(time.Second-slack), began.Add(time.Minute))
		f.Notified("1000000 " + uuid.Nil.String())
		look("it was lowered", time.Millisecond, time.Unix(1, 0).Add(-slack), began.Add(time.Minute))

		late, early := f.Begin(), f.Begin()
		f.Lower(began)
		f.End(early, began.Add(time.Hour))
		f.End(late, began.Add(time.Hour))
		look("a take does not know of what came meanwhile", time.Millisecond, began.Add(-slack), began.Add(time.Hour))
		look("and the next does", time.Millisecond, began.Add(time.Hour-slack), all)
		look("one that failed changes nothing", time.Millisecond, began.Add(time.Hour-slack), all)

		<-time.After(2 * time.Second)
		full := f.Begin()
		if !full.From.IsZero() {
			t.Errorf("after twenty times as long it begins at %s", full.From)
		}
		look("one at a time", time.Millisecond, began.Add(time.Hour-slack), all)
		f.End(full, all)
		f.Notified("")
		look("after a notification that says nothing", time.Millisecond, all, all)
	})
}
