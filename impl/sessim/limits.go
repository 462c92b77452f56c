package sessim

import (
	"time"
)

// unlimited is the daily quota that SES reports for an account without one.
const unlimited = -1

// bucket limits a rate. It holds one second's worth. As with SES, a message to several recipients passes while
// anything is left, and later messages wait until the debt is paid.
type bucket struct {
	tokens float64
	filled time.Time
}

func (b *bucket) take(now time.Time, perSecond float64, n int) bool {
	if perSecond <= 0 {
		return false
	}
	capacity := max(perSecond, 1)
	if b.filled.IsZero() {
		b.tokens = capacity
	} else {
		b.tokens += now.Sub(b.filled).Seconds() * perSecond
	}
	b.tokens = min(b.tokens, capacity)
	b.filled = now
	if b.tokens < 1 {
		return false
	}
	b.tokens -= float64(n)
	return true
}

// window counts recipients over the last 24 hours, by minute.
type window struct {
	minutes []minute // oldest first, at most 1,440 and the current one
	total   int64
}

type minute struct {
	number int64 // since 1970
	count  int64
}

func (w *window) add(now time.Time, n int) {
	w.expire(now)
	number := now.Unix() / 60
	if last := len(w.minutes) - 1; last >= 0 && w.minutes[last].number >= number {
		w.minutes[last].count += int64(n)
	} else {
		w.minutes = append(w.minutes, minute{number: number, count: int64(n)})
	}
	w.total += int64(n)
}

func (w *window) expire(now time.Time) {
	oldest := now.Unix()/60 - 24*60
	for len(w.minutes) > 0 && w.minutes[0].number < oldest {
		w.total -= w.minutes[0].count
		w.minutes = w.minutes[1:]
	}
}

func (w *window) sent(now time.Time) int64 {
	w.expire(now)
	return w.total
}
