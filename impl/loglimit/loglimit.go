// Package loglimit bounds how often the same log line is written.
//
//   - loglimit.go: one line for each key within an interval ([Limiter])
package loglimit

import (
	"sync"
	"time"
)

// Limiter allows one line for each key within an interval. Keys are never evicted, so there must be few of them.
// It is safe for concurrent use.
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
