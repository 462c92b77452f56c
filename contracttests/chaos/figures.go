package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What a run of five minutes must at least bring about; a shorter one its share of it.
const (
	wholeRun         = 5 * time.Minute
	enoughAccepted   = 50_000
	enoughKills      = 10
	enoughDropped    = 100
	enoughAtTheirCap = 2
)

// figures are what is printed; the package says what they mean.
type figures struct {
	accepted, sent, lost, duplicated      int
	stuck, doubled, failed, kills, capped int
	ambiguous, overCap, miscounted        int64
	dropped                               int64
	seconds                               float64
	examples                              []string
}

func (f figures) String() string {
	return fmt.Sprintf("accepted=%d sent=%d lost=%d duplicated=%d ambiguous=%d over_cap=%d stuck=%d doubled_accepts=%d "+
		"miscounted=%d failed=%d kills=%d dropped_answers=%d capped=%d seconds=%.1f",
		f.accepted, f.sent, f.lost, f.duplicated, f.ambiguous, f.overCap, f.stuck, f.doubled,
		f.miscounted, f.failed, f.kills, f.dropped, f.capped, f.seconds)
}

// verdict is what was promised and is not so.
func (f figures) verdict() error {
	if f.lost == 0 && f.overCap == 0 && f.stuck == 0 && f.doubled == 0 && f.miscounted == 0 && f.failed == 0 &&
		int64(f.duplicated) <= f.ambiguous {
		return nil
	}
	return fmt.Errorf("the promise is broken: nothing may be lost, over a cap, stuck, accepted twice or counted wrongly, and "+
		"nothing doubled that was not ambiguous (%s)", strings.Join(f.examples, ", "))
}

// void says that too little happened for the figures to mean anything.
func (f figures) void(duration time.Duration) error {
	share := min(1, duration.Seconds()/wholeRun.Seconds())
	enough := func(got, whole int) bool { return float64(got) >= share*float64(whole) }
	if enough(f.accepted, enoughAccepted) && enough(f.kills, enoughKills) && enough(int(f.dropped), enoughDropped) &&
		f.capped >= enoughAtTheirCap {
		return nil
	}
	return errors.New("the run is void: too little was accepted or went wrong, or an organization did not reach its limit")
}
