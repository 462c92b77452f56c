// Command bench measures the server beside what bounds it, all in one run on one machine: client, server and Postgres
// share the processors, and Postgres keeps every commit.
//
//   - main.go: the settings and the order
//   - world.go: the tenant, the servers and their addresses
//   - singles.go, batches.go, sends.go, memory.go, rows.go: one measurement each
//   - cost.go: processor time, memory and instructions of a process; metrics.go: values from its /metrics
//   - pgbench.go: the same work done by pgbench
//   - stub.go: the server without its database write, run as a process of its own
//   - report.go: the table, the ratios, the JSON
//
// Compare ratios between figures of the same run; absolute figures depend on the machine and the day.
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
	// each is the duration of one load.
	each time.Duration
	// rows is the number of messages in the large table.
	rows int
	// large measures the large table and nothing else.
	large bool
	// json is the file that receives the figures, beside the printed table.
	json string
}

func main() {
	var set settings
	stub := flag.String("stub", "", "serve at this address without writing to the database; used by the bench itself")
	flag.DurationVar(&set.each, "each", 6*time.Second, "duration of each load")
	flag.IntVar(&set.rows, "rows", 1_000_000, "messages in the large table; 0 leaves it out")
	flag.BoolVar(&set.large, "large", false, "measure the large table only")
	flag.StringVar(&set.json, "json", "bin/bench.json", "file for the figures")
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
