// Command bench measures the server beside what bounds it, all in one run on one machine: client, server and Postgres
// share the processors, and Postgres keeps every commit.
//
//   - main.go: the settings and the order
//   - world.go: the tenant, the servers and their addresses
//   - singles.go, batches.go, sends.go, memory.go, rows.go: what is measured
//   - pgbench.go: the same work done by pgbench
//   - stub.go: the server without its database write, run as a process of its own
//   - report.go: the table, the ratios, the JSON
//
// Ratios count, not absolutes: they are of neighbours in the same run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type settings struct {
	// each is how long a load lasts.
	each time.Duration
	// rows is how many messages the large table has.
	rows int
	// large leaves out all but the table with rows.
	large bool
	// json is where the figures go beside the table.
	json string
}

func main() {
	var set settings
	stub := flag.String("stub", "", "serve at this address without writing to the database; for the bench itself")
	flag.DurationVar(&set.each, "each", 6*time.Second, "how long each load lasts")
	flag.IntVar(&set.rows, "rows", 1_000_000, "how many messages the large table has; 0 leaves it out")
	flag.BoolVar(&set.large, "large", false, "measure the large table only")
	flag.StringVar(&set.json, "json", "bin/bench.json", "the file for the figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return bench(ctx, set) }
	if *stub != "" {
		run = func() error { return serveStub(ctx, *stub) }
	}
	if err := run(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, set settings) (err error) {
	w, err := newWorld(ctx, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	steps := []func(context.Context) error{w.singles, w.batches, w.sends, w.memory, w.rows}
	if set.large {
		steps = []func(context.Context) error{w.rows}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return w.report.write(os.Stdout, set.json)
}
