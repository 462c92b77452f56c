package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// PoolState is how much of the pool is in use, and what callers have waited for it since it was opened.
type PoolState struct {
	Used, Idle, Max int
	// Acquires counts the connections that were taken, Waits those for which none was idle, Canceled those that the caller
	// gave up waiting for.
	Acquires, Waits, Canceled int64
	// Waited is how long all of Waits took together.
	Waited time.Duration
}

// PoolState returns the state of the pool.
func (s *Store) PoolState() PoolState {
	stat := s.pool.Stat()
	return PoolState{
		Used: int(stat.AcquiredConns()), Idle: int(stat.IdleConns()), Max: int(stat.MaxConns()),
		Acquires: stat.AcquireCount(), Waits: stat.EmptyAcquireCount(), Canceled: stat.CanceledAcquireCount(),
		Waited: stat.EmptyAcquireWaitTime(),
	}
}

// listeners holds, for each channel that is listened to, whether its connection stands, and whom to wake.
type listeners struct {
	mu       sync.Mutex
	channels map[string]bool
	wakes    map[string]map[int]func(payload string)
	added    int
}

// add adds a listener whose connection does not stand yet.
func (l *listeners) add(channel string, wake func(payload string)) (remove func()) {
	l.set(channel, false)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.added++
	number := l.added
	if l.wakes == nil {
		l.wakes = map[string]map[int]func(payload string){}
	}
	if l.wakes[channel] == nil {
		l.wakes[channel] = map[int]func(payload string){}
	}
	l.wakes[channel][number] = wake
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.channels, channel)
		delete(l.wakes[channel], number)
	}
}

// wake wakes the listeners of a channel with each of the payloads.
func (l *listeners) wake(channel string, payloads []string) {
	l.mu.Lock()
	wakes := slices.Collect(maps.Values(l.wakes[channel]))
	l.mu.Unlock()
	for _, payload := range payloads {
		for _, wake := range wakes {
			wake(payload)
		}
	}
}

func (l *listeners) set(channel string, connected bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.channels == nil {
		l.channels = map[string]bool{}
	}
	l.channels[channel] = connected
}

// Listening returns, for each channel that [Store.Listen] listens to, whether it is connected. While it is not, work is
// found by polling alone.
func (s *Store) Listening() map[string]bool {
	s.listeners.mu.Lock()
	defer s.listeners.mu.Unlock()
	return maps.Clone(s.listeners.channels)
}

// OldestPartitions returns the month of the oldest partition of each table that is not dropped, detached ones included.
func (s *Store) OldestPartitions(ctx context.Context) (map[string]time.Time, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the partitions: %w", err)
	}
	defer conn.Release()
	oldest := map[string]time.Time{}
	for _, table := range partitionedTables {
		found, err := partitionsOf(ctx, conn, table)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			// A partition without a month in its name is an error of those that drop partitions.
			month, err := time.Parse(partitionMonthFormat, strings.TrimPrefix(one.name, table+"_"))
			if known, any := oldest[table]; err == nil && (!any || month.Before(known)) {
				oldest[table] = month
			}
		}
	}
	return oldest, nil
}
