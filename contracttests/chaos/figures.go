package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The minimum of a run of five minutes (wholeRun); a shorter run needs its share.
const (
	wholeRun         = 5 * time.Minute
	enoughAccepted   = 50_000
	enoughKills      = 10
	enoughStops      = 10
	enoughDropped    = 100
	enoughAtTheirCap = 2
	// A snapshot ends when Postgres is killed, and is taken again once Postgres is back.
	enoughSnapshot = 0.6
)

// figures are the printed counts; the package doc defines them.
type figures struct {
	accepted, sent, lost, duplicated int
	stuck, doubled, failed, capped   int
	kills, stops                     int
	ambiguous, overCap, miscounted   int64
	dropped                          int64
	snapshot, seconds                float64
	examples                         []string
}

func (f figures) String() string {
	return fmt.Sprintf("accepted=%d sent=%d lost=%d duplicated=%d ambiguous=%d over_cap=%d stuck=%d doubled_accepts=%d "+
		"miscounted=%d failed=%d kills=%d stops=%d dropped_answers=%d capped=%d snapshot=%.2f seconds=%.1f",
		f.accepted, f.sent, f.lost, f.duplicated, f.ambiguous, f.overCap, f.stuck, f.doubled,
		f.miscounted, f.failed, f.kills, f.stops, f.dropped, f.capped, f.snapshot, f.seconds)
}

// verdict returns an error when a delivery guarantee is broken.
func (f figures) verdict() error {
	if f.lost == 0 && f.overCap == 0 && f.stuck == 0 && f.doubled == 0 && f.miscounted == 0 && f.failed == 0 &&
		int64(f.duplicated) <= f.ambiguous {
		return nil
	}
	return fmt.Errorf("guarantee broken: no message may be lost, over a cap, stuck, accepted twice or miscounted, and "+
		"none may be duplicated that was not ambiguous (%s)", strings.Join(f.examples, ", "))
}

// void returns an error when too little happened for the figures to mean anything.
func (f figures) void(duration time.Duration) error {
	share := min(1, duration.Seconds()/wholeRun.Seconds())
	enough := func(got, whole int) bool { return float64(got) >= share*float64(whole) }
	if enough(f.accepted, enoughAccepted) && enough(f.kills, enoughKills) && enough(f.stops, enoughStops) &&
		enough(int(f.dropped), enoughDropped) && f.snapshot >= enoughSnapshot && f.capped >= enoughAtTheirCap {
		return nil
	}
	return errors.New("the run is void: too few accepted messages or faults, or a limit was not reached")
}
