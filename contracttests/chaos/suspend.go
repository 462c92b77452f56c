package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
)

const (
	shortestStop, longestStop = 500 * time.Millisecond, 5 * time.Second
	// Every client soon waits for a suspended API process, so that nothing else happens meanwhile.
	longestAPIStop = 1500 * time.Millisecond
	// A worker that is suspended for longer than a lease finds its messages taken over when it is resumed.
	beyondLease = 70 * time.Second
)

// suspendOneAfterAnother suspends the API processes and the workers one after another and resumes them, until ctx
// ends. One may be killed meanwhile, which a suspended process does not notice.
func (s *stage) suspendOneAfterAnother(ctx context.Context, random *rand.Rand) error {
	victims := deck[*actor]{cards: s.actors[1:], random: random} // all but the simulated SES
	deadline, bounded := ctx.Deadline()
	longWaits := bounded && time.Until(deadline) >= longRun
	for {
		next := victims.deal()
		rest, lasts := between(random, time.Second, 5*time.Second), between(random, shortestStop, longestStop)
		switch {
		case !next.sends:
			lasts = min(lasts, longestAPIStop)
		case longWaits:
			lasts, longWaits = beyondLease, false
		}
		if backoff.Sleep(ctx, rest) != nil {
			return nil //nolint:nilerr // the context ended, and with it the work
		}
		if err := s.suspend(ctx, next, lasts); err != nil {
			return err
		}
	}
}

func (s *stage) suspend(ctx context.Context, one *actor, lasts time.Duration) error {
	s.say("suspend %s for %s", one.name, lasts.Round(time.Millisecond))
	process := s.processOf(one)
	if err := process.Suspend(); err != nil {
		return err
	}
	s.noteStop(ctx, one)
	_ = backoff.Sleep(ctx, lasts) // it is resumed all the same
	return process.Resume()
}

func (s *stage) processOf(one *actor) *harness.Process {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return one.process
}

// noteStop counts as ambiguous what a suspended worker holds: it may read SES's responses too late.
func (s *stage) noteStop(ctx context.Context, one *actor) {
	open := int64(0)
	if one.sends {
		open = harness.Leases(ctx, s.database)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stops++
	s.ambiguous += open
}
