package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

// deck deals all of its cards again and again, in a new order each round, so that a short run sees all of them too.
type deck[T any] struct {
	cards, left []T
	random      *rand.Rand
}

func (d *deck[T]) deal() T {
	if len(d.left) == 0 {
		d.left = append(d.left, d.cards...)
		d.random.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	card := d.left[0]
	d.left = d.left[1:]
	return card
}

func between(random *rand.Rand, shortest, longest time.Duration) time.Duration {
	return shortest + time.Duration(random.Int64N(int64(longest-shortest)))
}

// killOneAfterAnother kills processes and starts each of them again, until ctx ends. A nil card is the database.
func (s *stage) killOneAfterAnother(ctx context.Context, random *rand.Rand) error {
	victims := deck[*actor]{cards: append([]*actor{nil}, s.actors...), random: random}
	for {
		next := victims.deal()
		rest, down := between(random, time.Second, 4*time.Second), between(random, 0, 2*time.Second)
		if backoff.Sleep(ctx, rest) != nil {
			return nil //nolint:nilerr // the context ended, and with it the work
		}
		// A kill is completed once it has begun, so that no process stays dead and nothing is half done.
		if err := s.killAndStart(context.WithoutCancel(ctx), next, down); err != nil {
			return err
		}
	}
}

func (s *stage) killAndStart(ctx context.Context, victim *actor, down time.Duration) error {
	if victim == nil {
		s.say("kill Postgres for %s", down.Round(time.Millisecond))
		if err := s.killPostgres(ctx); err != nil {
			return err
		}
		_ = backoff.Sleep(ctx, down) // the caller checks the context
		return s.ground.Postgres.Restart(ctx)
	}
	s.say("kill %s for %s", victim.name, down.Round(time.Millisecond))
	if err := s.kill(ctx, victim); err != nil {
		return err
	}
	_ = backoff.Sleep(ctx, down) // the caller checks the context
	return s.start(ctx, victim)
}

// trouble is a way in which SES misbehaves for a while.
type trouble struct {
	name string
	// make returns the faults, for a share of the calls or for a number of them.
	make              func(share float64, number int) faults
	shortest, longest time.Duration
}

// longRun is the shortest run that has time for sends to time out.
const longRun = 2 * time.Minute

func troubles(hang time.Duration) []trouble {
	keepBack := trouble{"keeps answers back", func(share float64, _ int) faults { return faults{DropAnswer: share} }, time.Second, 3 * time.Second}
	return []trouble{
		keepBack, keepBack,
		{"throttles", func(share float64, _ int) faults { return faults{Throttle: 2 * share} }, time.Second, 4 * time.Second},
		{"throttles everything", func(float64, int) faults { return faults{Throttle: -1} }, time.Second, 2 * time.Second},
		{"fails", func(share float64, _ int) faults { return faults{Status5xx: share} }, time.Second, 3 * time.Second},
		{"cuts connections", func(share float64, _ int) faults { return faults{DropRequest: share} }, time.Second, 3 * time.Second},
		{"dawdles", func(_ float64, number int) faults { return faults{DelayMs: 40 * number} }, time.Second, 4 * time.Second},
		{"hangs", func(_ float64, number int) faults { return faults{Hang: float64(number)} }, hang, hang + hang/4},
	}
}

// troubleSES makes SES misbehave in one way after another until ctx ends. A fault ends early when the simulator is
// killed.
func (s *stage) troubleSES(ctx context.Context, random *rand.Rand) error {
	hang := 3 * time.Second
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) >= longRun {
		hang = 22 * time.Second // a send times out after 20 seconds
	}
	all := deck[trouble]{cards: troubles(hang), random: random}
	for {
		next := all.deal()
		rest, lasts := between(random, 500*time.Millisecond, 1500*time.Millisecond), between(random, next.shortest, next.longest)
		wrong := next.make(0.1+0.3*random.Float64(), 1+random.IntN(20))
		wrong.Seed = random.Uint64()
		if backoff.Sleep(ctx, rest) != nil {
			return nil //nolint:nilerr // the context ended, and with it the work
		}
		s.say("SES %s for %s", next.name, lasts.Round(time.Millisecond))
		if s.simulator.set(ctx, wrong) != nil {
			continue // the simulator is down, which is trouble enough
		}
		_ = backoff.Sleep(ctx, lasts) // the loop checks the context
		if err := s.simulator.clear(ctx); err != nil && ctx.Err() == nil {
			continue
		}
	}
}
