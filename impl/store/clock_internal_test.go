package store

import (
	"log/slog"
	"testing"
	"time"
)

// A measurement says no more than that Postgres read its clock between a question and its answer.
func TestClockMovesNoFurtherThanAMeasurementDemands(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	machine := start
	c := NewClock(func() time.Time { return machine }, slog.New(slog.DiscardHandler))
	ask := func(trip time.Duration, postgres time.Time) {
		before := machine
		machine = machine.Add(trip)
		c.learn(before, machine, postgres)
	}
	for _, step := range []struct {
		name  string
		trip  time.Duration
		reads time.Duration // Postgres's clock, ahead of the machine's at the question
		want  time.Duration // our clock, ahead of the machine's after the answer
	}{
		{"the first takes the middle", 10 * time.Millisecond, 2*time.Hour + 5*time.Millisecond, 2 * time.Hour},
		{"a slow answer agrees", 5 * time.Second, 2*time.Hour + 4*time.Second, 2 * time.Hour},
		{"Postgres is a little behind", time.Millisecond, 2*time.Hour - 4*time.Millisecond, 2*time.Hour - 4*time.Millisecond},
		{"Postgres is a little ahead", time.Millisecond, 2*time.Hour + 4*time.Millisecond, 2*time.Hour + 3*time.Millisecond},
		{"Postgres was set back", time.Millisecond, 0, 0},
	} {
		ask(step.trip, machine.Add(step.reads))
		if got := c.Now().Sub(machine); got != step.want {
			t.Errorf("%s: the clock is %s ahead of the machine's, want %s", step.name, got, step.want)
		}
	}
	machine = machine.Add(time.Minute)
	if got := c.Ahead(); got != 0 {
		t.Errorf("between measurements the clock does not advance with the machine's: it is %s ahead", got)
	}
}
