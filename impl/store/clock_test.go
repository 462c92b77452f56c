package store_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// Every process reads Postgres's clock, from its first connection on, however far the clock of its machine is off.
func TestClockIsPostgres(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	for _, off := range []time.Duration{time.Hour, -time.Hour, 0} {
		clock := store.NewClock(func() time.Time { return time.Now().Add(off) }, slog.New(slog.DiscardHandler))
		s, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 1, Clock: clock})
		if err != nil {
			t.Fatal(err)
		}
		if clock.Ahead() != 0 {
			t.Errorf("before a measurement it is not the machine's clock, but %s behind", clock.Ahead())
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		var postgres time.Time
		if err := s.Pool().QueryRow(t.Context(), "SELECT clock_timestamp()").Scan(&postgres); err != nil {
			t.Fatal(err)
		}
		if apart := clock.Now().Sub(postgres); apart.Abs() > time.Minute {
			t.Errorf("a machine that is %s off reads a time %s after Postgres's", off, apart)
		}
		if apart := clock.Ahead() - off; apart.Abs() > time.Minute {
			t.Errorf("a machine that is %s off is said to be %s ahead", off, clock.Ahead())
		}
		s.Close()
	}
}
