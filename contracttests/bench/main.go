// Command bench measures the server beside what bounds it, all in one run on one machine: client, server and Postgres
// share the processors, and Postgres keeps every commit.
//
//   - main.go: the settings and the order
//   - world.go: the tenant, the servers and their addresses
//   - singles.go, batches.go, sends.go, deliveries.go, memory.go, rows.go: one measurement each
//   - sends_backlog.go: the worker over a hundred organizations, and beside an open snapshot
//   - events.go, events_posted.go, events_queue.go: SES events, stored before, posted, and out of a queue
//   - pipeline.go: the highest rate with which everything keeps up; updates.go: how many updates write to no index
//   - delivery_world.go: webhooks, a worker and endpoints, for deliveries.go
//   - cost.go: processor time, memory and instructions of a process; metrics.go: values from its /metrics
//   - pgbench.go: the same work done by pgbench
//   - stub.go: the server without its database write; receivers.go: endpoints of webhooks; both as processes of their own
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
	// only names the one measurement to make. Empty means all.
	only string
	// json is the file that receives the figures, beside the printed table.
	json string
}

func main() {
	var set settings
	stub := flag.String("stub", "", "serve at this address without writing to the database; used by the bench itself")
	receivers := flag.String("receivers", "", "serve endpoints of webhooks at these two addresses; used by the bench itself")
	flag.DurationVar(&set.each, "each", 6*time.Second, "duration of each load")
	flag.IntVar(&set.rows, "rows", 1_000_000, "messages in the large table; 0 leaves it out")
	flag.BoolVar(&set.large, "large", false, "measure the large table only")
	flag.StringVar(&set.only, "only", "", "the one measurement to make: singles, batches, sends, events, deliveries, pipeline, memory or rows")
	flag.StringVar(&set.json, "json", "bin/bench.json", "file for the figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return bench(ctx, set) }
	switch {
	case *stub != "":
		run = func() error { return serveStub(ctx, *stub) }
	case *receivers != "":
		run = func() error { return serveReceivers(ctx, *receivers) }
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
	for _, step := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"singles", w.singles},
		{"batches", w.batches},
		{"sends", w.sends},
		{"events", w.events},
		{"deliveries", w.deliveries},
		{"pipeline", w.pipeline},
		{"memory", w.memory},
		{"rows", w.rows},
	} {
		if set.only != "" && set.only != step.name || set.large && step.name != "rows" {
			continue
		}
		if err := step.measure(ctx); err != nil {
			return err
		}
	}
	return w.report.write(os.Stdout, set.json)
}
