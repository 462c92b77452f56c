// Package loglimit keeps a log line that could be written for every message from being written more than once in a while.
//
//   - loglimit.go: one line for each key within an interval ([Limiter])
package loglimit

import (
	"sync"
	"time"
)

// Limiter allows one line for each key within an interval. The keys are few and known: nothing is evicted. It is safe for
// concurrent use.
type Limiter struct {
	interval time.Duration

	mu   sync.Mutex
	last map[string]time.Time
}

// New returns a limiter that allows a key once within interval.
func New(interval time.Duration) *Limiter {
	return &Limiter{interval: interval, last: map[string]time.Time{}}
}

// Allow reports whether a line under key may be written now, and counts it as written.
func (l *Limiter) Allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, found := l.last[key]; found && now.Sub(last) < l.interval {
		return false
	}
	l.last[key] = now
	return true
}
