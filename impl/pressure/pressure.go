// Package pressure tells when the processors of the machine are wanted by more than they can serve.
//
//   - pressure.go: [Gauge], which judges it by how long this process waits for a processor
//   - waits.go: these waits as the system tells them, or the Go runtime where it does not
package pressure

import (
	"sync"
	"time"
)

const (
	// interval is the time over which the pressure is judged.
	interval = 50 * time.Millisecond
	// The pressure is high when the process waits for a processor for more than a part of the time in which it wants one.
	highPart = 4
)

// Gauge judges the pressure. It is safe for concurrent use.
type Gauge struct {
	now  func() time.Time
	read func() waits

	mutex sync.Mutex
	at    time.Time
	last  waits
	high  bool
}

// waits is for how long something ran, or how often, and for how long or how often it had to wait before it did.
type waits struct{ ran, waited uint64 }

// New returns a gauge with a clock, which should be monotonic.
func New(now func() time.Time) *Gauge {
	gauge := &Gauge{now: now, read: ofThreads}
	if gauge.last = gauge.read(); gauge.last.ran == 0 {
		gauge.read = goroutineWaits()
		gauge.last = gauge.read()
	}
	return gauge
}

// IsHigh reports whether the pressure is high.
func (g *Gauge) IsHigh() bool {
	high, _ := g.Look()
	return high
}

// Look reports whether the pressure is high, and whether that is a new judgment.
func (g *Gauge) Look() (high, isNew bool) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	now := g.now()
	if since := now.Sub(g.at); since >= 0 && since < interval {
		return g.high, false
	}
	g.at = now
	told := g.read()
	// Threads that have ended are no longer counted: then nothing can be said about the interval.
	if told.ran >= g.last.ran && told.waited >= g.last.waited {
		ran, waited := told.ran-g.last.ran, told.waited-g.last.waited
		g.high = waited*highPart > ran+waited
	}
	g.last = told
	return g.high, true
}
