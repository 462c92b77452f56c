// Command neighbours measures what a hostile organization costs a quiet one on the same server. The quiet organization
// sends, reads and takes webhooks at a modest rate: first alone, then beside each attack in turn, then beside all of them
// at once:
//
//	go run ./contracttests/neighbours -each 10s
//	go run ./contracttests/neighbours -only bodies
//
// The files:
//
//   - main.go: the run; report.go: the table and the verdict
//   - world.go: everything that runs: Postgres, the simulated SES, one `mailstack serve`, the names of domains
//   - quiet.go: the quiet organization and its latencies; receiver.go: its webhook, and the webhooks that hang
//   - attack.go: the process that attacks; attacks.go: the list of attacks
//   - requests.go, connections.go, backlogs.go, webhooks.go: the attacks
//
// The attacks run in a process of their own, at the lowest priority, so that what the quiet organization loses is taken by
// the server and not by the program that attacks it.
//
// It prints a line for each attack: the median and the 99th percentile of the quiet organization's requests and webhooks,
// alone and beside it, how many of its requests failed, and the peak memory of the server. It exits with 1 if a 99th
// percentile is more than 3 times the one of alone plus 100 ms, also when measured again, or if a request or a webhook of the
// quiet organization failed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

type settings struct {
	each time.Duration
	only *regexp.Regexp
	logs string
	// together runs all attacks at once at the end.
	together bool
}

// limit bounds a whole run.
const limit = 30 * time.Minute

func main() {
	var set settings
	var only string
	flag.DurationVar(&set.each, "each", 10*time.Second, "time beside each attack")
	flag.StringVar(&only, "only", "", "regular expression of the attacks to run; empty means all")
	flag.StringVar(&set.logs, "logs", "", "folder for the logs of the processes; empty means they are removed")
	flag.BoolVar(&set.together, "together", true, "run all attacks at once at the end")
	attacks := flag.String("attack", "", "attack with these, separated by commas; the program calls itself with it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := func() (err error) {
		if *attacks != "" {
			return attack(ctx, *attacks, os.Stdout)
		}
		if set.only, err = regexp.Compile(only); err != nil {
			return fmt.Errorf("-only: %w", err)
		}
		return run(ctx, set)
	}()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "neighbours:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, set settings) (err error) {
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.harness.KeepLogs(set.logs), w.close()) }()
	// The first requests fill caches and pools.
	if _, err := w.quiet.live(ctx, set.each/4); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	alone, err := w.quiet.live(ctx, 2*set.each)
	if err != nil {
		return fmt.Errorf("measure the quiet organization alone: %w", err)
	}
	table := report{alone: alone, output: os.Stdout}
	if err := table.head(); err != nil {
		return err
	}
	if alone.peak, err = w.peak(); err != nil {
		return err
	}
	if err := table.add("(alone)", alone); err != nil {
		return err
	}
	var names []string
	for _, one := range attacks() {
		if set.only.MatchString(one.name) {
			names = append(names, one.name)
		}
	}
	for _, name := range names {
		if err := beside(ctx, w, set, &table, name, name); err != nil {
			return err
		}
	}
	if len(names) > 1 && set.together {
		if err := beside(ctx, w, set, &table, "all at once", names...); err != nil {
			return err
		}
	}
	return table.verdict()
}

// beside measures the quiet organization beside attacks, and adds the line of the table. A line that is too slow is measured
// once more, because a stall of the machine is no attack; a failed request counts at once.
func beside(ctx context.Context, w *world, set settings, table *report, title string, names ...string) error {
	found, err := w.measure(ctx, set, names)
	if err != nil {
		return fmt.Errorf("measure beside %s: %w", title, err)
	}
	if len(found.failed) == 0 && table.slow(found) {
		if err := table.print(title, found); err != nil {
			return err
		}
		if found, err = w.measure(ctx, set, names); err != nil {
			return fmt.Errorf("measure beside %s again: %w", title, err)
		}
		title += " (again)"
	}
	return table.add(title, found)
}

func (w *world) measure(ctx context.Context, set settings, names []string) (found lived, err error) {
	attacking, err := w.attackWith(ctx, names)
	if err != nil {
		return found, err
	}
	if err := w.resetPeak(); err != nil {
		return found, err
	}
	if found, err = w.quiet.live(ctx, set.each); err != nil {
		return found, err
	}
	found.attacker = attacking.end()
	if found.peak, err = w.peak(); err != nil {
		return found, err
	}
	return found, w.cleanUp(ctx)
}
