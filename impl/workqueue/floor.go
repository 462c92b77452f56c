package workqueue

import (
	"sync"
	"time"
)

// Floor is what [Lanes] is for work without lanes: from which due time on rows may be due. While a take that begins at the
// first entry of the index is cheap, every one does. When it is not, takes begin at the floor, and one in a while at the
// first entry, since it finds what the floor does not know of: what another process took and lost, or another clock.
// Takes may be made concurrently.
type Floor struct {
	mu    sync.Mutex
	floor time.Time
	takes map[*Take]bool // in progress
	took  time.Duration  // the last take that began at the first entry
	ended time.Time
	busy  bool // one is in progress
}

// Take is one look for due rows.
type Take struct {
	// From is where it begins; the zero time is the first entry.
	From    time.Time
	began   time.Time
	lowered time.Time // the earliest since it began; zero if none
}

// NewFloor returns a floor below all rows.
func NewFloor() *Floor { return &Floor{takes: map[*Take]bool{}} }

// Begin begins a take. [Floor.End] must follow.
func (f *Floor) Begin() *Take {
	f.mu.Lock()
	defer f.mu.Unlock()
	take := &Take{began: time.Now()}
	f.takes[take] = true
	if f.took > cheapSurvey && (f.busy || time.Since(f.ended) < max(minSurveyPause, surveyShare*f.took)) {
		take.From = f.floor.Add(-commitSlack)
		return take
	}
	f.busy = true
	return take
}

// End ends a take, which left no row that is due before a time but what others had locked. The zero time means that nothing
// is known of what it left.
func (f *Floor) End(take *Take, left time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.takes, take)
	if take.From.IsZero() {
		f.busy, f.took, f.ended = false, time.Since(take.began), time.Now()
	}
	if !take.lowered.IsZero() {
		left = earlier(left, take.lowered)
	}
	if left.After(f.floor) {
		f.floor = left
	}
}

// Lower notes that a row is due at a time.
func (f *Floor) Lower(dueAt time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.floor = earlier(f.floor, dueAt)
	for take := range f.takes {
		if take.lowered.IsZero() || dueAt.Before(take.lowered) {
			take.lowered = dueAt
		}
	}
}

// Forget makes the next take begin at the first entry.
func (f *Floor) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = 0
}

// Notified takes in the payload of a notification, as [Lanes.Notified] does. After one that names no time, the next take
// begins at the first entry.
func (f *Floor) Notified(payload string) {
	if dueAt, _, known := parseNotice(payload); known {
		f.Lower(dueAt)
		return
	}
	f.Forget()
}
