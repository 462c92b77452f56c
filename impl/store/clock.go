package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/loglimit"
)

const (
	// clockInterval is the time between measurements. It bounds how long a step of Postgres's clock, or a machine that was
	// suspended, goes unnoticed.
	clockInterval = time.Second
	// clockTimeout bounds one measurement.
	clockTimeout = 5 * time.Second
	// ClockTolerance is how far the clock of a machine may be off without a warning.
	ClockTolerance   = 2 * time.Second
	clockLogInterval = 10 * time.Minute
)

// Clock tells the time of Postgres. Leases, due times and periods of different processes are compared with each other, so
// that all processes must read one clock, however far their machines are off. Postgres's is the one that all of them can
// reach. Between two measurements it advances with the monotonic clock of the machine, which no step of its wall clock
// changes. Until the first measurement, which every connection makes before it is used, it is the clock of the machine.
//
// What other systems compare with their own time stays with the clock of the machine: TLS, the signatures of AWS.
type Clock struct {
	machine func() time.Time
	log     *slog.Logger
	logs    *loglimit.Limiter

	mu       sync.Mutex
	measured bool
	machined time.Time // the machine's clock at some moment, with its monotonic reading
	postgres time.Time // Postgres's clock at that moment
}

// NewClock returns a clock that has not been measured. Now is the clock of the machine.
func NewClock(now func() time.Time, log *slog.Logger) *Clock {
	return &Clock{machine: now, log: log, logs: loglimit.New(clockLogInterval)}
}

// Now returns the time of Postgres.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at(c.machine())
}

// Ahead returns how far the clock of the machine is ahead of Postgres's. It is negative when it is behind.
func (c *Clock) Ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	machine := c.machine()
	// Without the monotonic readings, so that a step of the machine's wall clock shows.
	return machine.Round(0).Sub(c.at(machine).Round(0))
}

func (c *Clock) at(machine time.Time) time.Time {
	if !c.measured {
		return machine
	}
	return c.postgres.Add(machine.Sub(c.machined))
}

// Run measures the clock of the store's Postgres again and again until ctx ends. While Postgres is unavailable, the clock
// advances on its own.
func (c *Clock) Run(ctx context.Context, s *Store) error {
	ticker := time.NewTicker(clockInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		measuring, cancel := context.WithTimeout(ctx, clockTimeout)
		// The failure of a measurement says nothing that the statements of the process do not say as well.
		_ = c.Measure(measuring, s)
		cancel()
		c.warn(ctx)
	}
}

// Measure measures the clock once.
func (c *Clock) Measure(ctx context.Context, s *Store) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("measure the clock: %w", err)
	}
	defer conn.Release()
	return c.measure(ctx, conn.Conn())
}

func (c *Clock) measure(ctx context.Context, conn *pgx.Conn) error {
	before := c.machine()
	var postgres time.Time
	if err := conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&postgres); err != nil {
		return fmt.Errorf("measure the clock: %w", err)
	}
	c.learn(before, c.machine(), postgres)
	return nil
}

// learn takes in that Postgres read its clock at some moment between two of the machine. The clock moves no further than
// that demands: a slow response says little, and must not move a clock that may be right.
func (c *Clock) learn(before, after, postgres time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	trip := after.Sub(before)
	now := postgres.Add(trip / 2)
	if c.measured {
		now = c.at(after)
	}
	if now.Before(postgres) {
		now = postgres
	}
	if latest := postgres.Add(trip); now.After(latest) {
		now = latest
	}
	c.measured, c.machined, c.postgres = true, after, now
}

func (c *Clock) warn(ctx context.Context) {
	if ahead := c.Ahead(); ahead.Abs() > ClockTolerance && c.logs.Allow("", c.machine()) {
		c.log.WarnContext(ctx, "the clock of this machine differs from Postgres's, which is used instead: check the time synchronization of both",
			slog.Float64("ahead_seconds", ahead.Seconds()))
	}
}
