package pressure

import (
	"runtime"
	"testing"
	"time"
)

// The pressure is high where more than a quarter of the time was waited for a processor, and judged once in an interval.
func TestGaugeJudgesWhatWasWaited(t *testing.T) {
	t.Parallel()
	now, told := time.Unix(0, 0), waits{ran: 1000, waited: 1000}
	gauge := &Gauge{now: func() time.Time { return now }, read: func() waits { return told }, last: told}
	for i, one := range []struct {
		after  time.Duration
		add    waits
		high   bool
		judged bool
	}{
		{after: interval, add: waits{ran: 75, waited: 25}, judged: true},
		{after: interval, add: waits{ran: 74, waited: 26}, high: true, judged: true},
		{after: interval - 1, add: waits{ran: 100}, high: true},
		{after: 1, judged: true},
		{after: interval, add: waits{waited: 1}, high: true, judged: true},
		{after: interval, judged: true}, // it did nothing
		{after: -time.Hour, add: waits{waited: 1}, high: true, judged: true},
	} {
		now = now.Add(one.after)
		told.ran, told.waited = told.ran+one.add.ran, told.waited+one.add.waited
		if high, judged := gauge.Look(); high != one.high || judged != one.judged || gauge.IsHigh() != high {
			t.Errorf("step %d: high %t, judged %t", i, high, judged)
		}
	}
	// A thread that has ended is no longer counted: the last judgment stands.
	now, told = now.Add(interval), waits{ran: 10, waited: 5}
	if high, judged := gauge.Look(); !high || !judged {
		t.Error("what cannot be told changed the judgment")
	}
}

// Both sources tell of what runs.
func TestSourcesTellWhatRan(t *testing.T) {
	t.Parallel()
	sources := map[string]func() waits{"goroutines": goroutineWaits()}
	if runtime.GOOS == "linux" {
		sources["threads"] = ofThreads
	}
	for name, read := range sources {
		before := read()
		for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
			runtime.Gosched()
		}
		if after := read(); after.ran <= before.ran {
			t.Errorf("%s: %+v and then %+v", name, before, after)
		}
	}
}
