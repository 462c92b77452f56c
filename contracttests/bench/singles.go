package main

import (
	"context"
	"fmt"
	"time"

	"github.com/voostack/mailstack/impl/devdb"
)

// figures are the results of one load.
type figures struct {
	PerSecond float64 `json:"perSecond"`
	// P50 and P99 are in milliseconds; pgbench reports a mean, which is stored as P50.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99,omitempty"`
}

// singles compares single sends over HTTP: with shared transactions, with a transaction each, without the database
// write, and the naive transaction run by pgbench.
func (w *world) singles(ctx context.Context) error {
	servers := map[string]func(context.Context) (api, error){
		"grouped": func(ctx context.Context) (api, error) { return w.serve(ctx, "grouped", devdb.Database) },
		"alone": func(ctx context.Context) (api, error) {
			return w.serve(ctx, "alone", devdb.Database, groupsOfOne()...)
		},
		"stub": w.serveStub,
	}
	for _, connections := range []int{1, 16, most, many} {
		// The first send opens the billing period, which pgbench needs.
		found := map[string]figures{}
		names := []string{"grouped", "alone", "stub"}
		if connections == many {
			names = []string{"grouped", "stub"}
		}
		for _, name := range names {
			load, err := w.singleLoad(ctx, name, servers[name], connections)
			if err != nil {
				return err
			}
			found[name] = load
		}
		if connections == many {
			w.report.singles(connections, found)
			continue
		}
		perSecond, latency, err := w.pgbench(ctx, naive, connections)
		if err != nil {
			return err
		}
		found["pgbench"] = figures{PerSecond: perSecond, P50: milliseconds(latency)}
		w.report.singles(connections, found)
	}
	return nil
}

func (w *world) singleLoad(
	ctx context.Context, name string, start func(context.Context) (api, error), connections int,
) (figures, error) {
	at, err := start(ctx)
	if err != nil {
		return figures{}, err
	}
	defer at.Kill()
	load, err := w.drive(ctx, at, connections, singlePath, w.single)
	if err != nil {
		return figures{}, fmt.Errorf("%s over %d connections: %w", name, connections, err)
	}
	if name == "grouped" && connections >= most {
		if err := w.cost(ctx, at, connections); err != nil {
			return figures{}, err
		}
	}
	return figures{load.PerSecond(), milliseconds(load.Percentile(50)), milliseconds(load.Percentile(99))}, at.Stop()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
