package workqueue

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// cheapSurvey is what a survey may take to be made before each claim.
	cheapSurvey = 3 * time.Millisecond
	// A dearer survey is repeated after minSurveyPause, or after surveyShare times what it took: what it finds is known
	// otherwise most of the time, and it should not take the database more than a twentieth of its time.
	minSurveyPause = time.Second
	surveyShare    = 20
	surveyTimeout  = 25 * time.Second
	// commitSlack is how much earlier than its floor a lane is looked at: transactions do not commit in the order in which
	// they read the clock.
	commitSlack = 250 * time.Millisecond
)

// Lanes remembers which lanes have due rows, and from which due time on (the floor of a lane). Without floors, a claim
// begins at the first entry of each lane in the index, and walks past all rows that have ended since the oldest snapshot
// in use began: beside a backup that is hundreds of thousands. A survey finds lanes and floors, by that walk. While it is
// cheap, it precedes every claim. When it is not, claims go on with what is known from the last one, from notifications
// and from their own results, or from heads.
type Lanes struct {
	survey func(ctx context.Context) (map[uuid.UUID]time.Time, error)
	heads  HeadsFunc
	failed func(err error)

	mu       sync.Mutex
	floors   map[uuid.UUID]time.Time
	notified map[uuid.UUID]time.Time // since the survey in progress began
	lowered  map[uuid.UUID]time.Time // since the claim in progress began
	took     time.Duration           // the last survey
	ended    time.Time
	running  sync.WaitGroup
	busy     bool
}

// NewLanes returns lanes that are surveyed by the function: it returns every lane that has rows, with the earliest due
// time in it, also one to come. The error of a survey that was made beside claims goes to failed.
func NewLanes(survey func(ctx context.Context) (map[uuid.UUID]time.Time, error), failed func(err error)) *Lanes {
	return &Lanes{survey: survey, failed: failed}
}

// HeadsFunc returns when the first row of each lane is due of those that are not due before its floor, also one to come. A
// lane that has none is left out.
type HeadsFunc func(ctx context.Context, lanes []uuid.UUID, floors []time.Time) (map[uuid.UUID]time.Time, error)

// NewLanesWithHeads is NewLanes for claims that do not know what they leave in a lane: a claim that no survey precedes is
// preceded by heads, and they raise the floors instead of [Lanes.Raise].
func NewLanesWithHeads(survey func(ctx context.Context) (map[uuid.UUID]time.Time, error), heads HeadsFunc, failed func(err error)) *Lanes {
	l := NewLanes(survey, failed)
	l.heads = heads
	return l
}

// Due returns the lanes in which rows may be due at a time, and their floors.
func (l *Lanes) Due(ctx context.Context, now time.Time) (lanes []uuid.UUID, floors []time.Time, err error) {
	surveyed, err := l.refresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	lanes, floors = l.known(now)
	if surveyed || l.heads == nil || len(lanes) == 0 {
		return lanes, floors, nil
	}
	found, err := l.heads(ctx, lanes, floors)
	if err != nil {
		return nil, nil, err
	}
	lanes, floors = l.advance(now, lanes, found)
	return lanes, floors, nil
}

// advance raises the floors of lanes to the first rows found in them, but not beyond now: what other processes put back is
// due later than that. It forgets lanes without rows, and returns the lanes in which rows are due.
func (l *Lanes) advance(now time.Time, lanes []uuid.UUID, found map[uuid.UUID]time.Time) (due []uuid.UUID, floors []time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lane := range lanes {
		head, any := found[lane]
		lowered, changed := l.lowered[lane]
		switch {
		case any:
			l.raise(lane, earlier(head, now))
		case changed:
			l.raise(lane, lowered)
		default:
			delete(l.floors, lane)
		}
		if any && !head.After(now) {
			due, floors = append(due, lane), append(floors, head)
		}
	}
	return due, floors
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (l *Lanes) known(now time.Time) (lanes []uuid.UUID, floors []time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lowered = map[uuid.UUID]time.Time{}
	for lane, floor := range l.floors {
		if !floor.After(now) {
			lanes = append(lanes, lane)
			floors = append(floors, floor.Add(-commitSlack))
		}
	}
	return lanes, floors
}

// refresh makes a survey if it is time: before the claim where that is cheap, and then it returns true, else beside it.
func (l *Lanes) refresh(ctx context.Context) (surveyed bool, err error) {
	l.mu.Lock()
	dear := l.took > cheapSurvey
	wait := dear && (l.busy || time.Since(l.ended) < max(minSurveyPause, surveyShare*l.took))
	if wait {
		l.mu.Unlock()
		return false, nil
	}
	l.notified = map[uuid.UUID]time.Time{}
	l.busy = true
	l.mu.Unlock()
	if !dear {
		return true, l.run(ctx)
	}
	l.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), surveyTimeout)
		defer cancel()
		if err := l.run(ctx); err != nil {
			l.failed(err)
		}
	})
	return false, nil
}

func (l *Lanes) run(ctx context.Context) error {
	began := time.Now()
	found, err := l.survey(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy, l.ended = false, time.Now()
	if err != nil {
		// Its time says nothing about the rows, but a survey that ran into its timeout must not be repeated at once.
		l.took = max(l.took, min(time.Since(began), surveyTimeout))
		return err
	}
	l.took = time.Since(began)
	// A row that was claimed meanwhile lowers a floor for nothing; the next claim raises it.
	l.floors = found
	for lane, dueAt := range l.notified {
		l.lower(lane, dueAt)
	}
	return nil
}

// Forget makes the next claim begin with a survey, whatever the last one took.
func (l *Lanes) Forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = 0
}

// Wait waits for a survey that is being made beside claims.
func (l *Lanes) Wait() { l.running.Wait() }

// Lower notes that a lane has a row that is due at a time.
func (l *Lanes) Lower(lane uuid.UUID, dueAt time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lower(lane, dueAt)
	if known, found := l.lowered[lane]; l.lowered != nil && (!found || dueAt.Before(known)) {
		l.lowered[lane] = dueAt
	}
	if l.busy {
		if known, found := l.notified[lane]; !found || dueAt.Before(known) {
			l.notified[lane] = dueAt
		}
	}
}

func (l *Lanes) lower(lane uuid.UUID, dueAt time.Time) {
	if l.floors == nil {
		l.floors = map[uuid.UUID]time.Time{}
	}
	if floor, found := l.floors[lane]; !found || dueAt.Before(floor) {
		l.floors[lane] = dueAt
	}
}

// Raise notes that the claim for which Due was called last left no row in a lane that is due before a time. It may not have
// seen what lowered the floor meanwhile.
func (l *Lanes) Raise(lane uuid.UUID, dueAt time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.raise(lane, dueAt)
}

func (l *Lanes) raise(lane uuid.UUID, dueAt time.Time) {
	if lowered, changed := l.lowered[lane]; changed {
		dueAt = earlier(dueAt, lowered)
	}
	if floor, found := l.floors[lane]; found && dueAt.After(floor) {
		l.floors[lane] = dueAt
	}
}

// Notified takes in the payload of a notification: a due time in microseconds since 1970, and the lanes that have a row
// which is due then. An empty one says nothing, as a notification that was missed.
func (l *Lanes) Notified(payload string) {
	dueAt, lanes, known := parseNotice(payload)
	if !known {
		return
	}
	for text := range strings.SplitSeq(lanes, ",") {
		if lane, err := uuid.Parse(text); err == nil {
			l.Lower(lane, dueAt)
		}
	}
}

func parseNotice(payload string) (dueAt time.Time, lanes string, known bool) {
	at, lanes, _ := strings.Cut(payload, " ")
	microseconds, err := strconv.ParseInt(at, 10, 64)
	return time.UnixMicro(microseconds), lanes, err == nil
}
