// Command drills does to a whole installation what happens to one on ordinary days, under a steady load of keyed
// requests from clients that retry, and accounts for every request and every message. Two API processes, two workers,
// HAProxy and the simulated SES run as separate programs on one Postgres, anew for each part:
//
//	a  ten rolling restarts of all processes, behind HAProxy
//	b  the end of a month: partitions made and dropped while a pg_dump is open
//	c  Postgres killed, and a streaming standby with synchronous commit promoted
//	d  Postgres read-only
//	e  a worker and an API process suspended (SIGSTOP)
//	f  a worker's clock an hour ahead, the other's an hour behind, Postgres's two hours ahead; both workers killed once
//
// The files:
//
//   - main.go: settings, the parts one after another, the table
//   - part.go: the parts, and the course of one
//   - stage.go: the processes; haproxy.go: the load balancer
//   - clients.go: the load, and what its clients saw
//   - account.go: the outcome of every message
//   - figures.go: the printed line, and the values it must have
//   - restarts.go, month_end.go, failover.go, read_only.go, suspend.go, clocks.go: what is done in each part
//
// The figures of a part:
//
//	requests     requests made, repetitions included; then the responses to them by status
//	errors       requests without a response: refused and cut connections, timeouts
//	gap          the longest time in which no request got a 202
//	accepted     messages in 202 responses, each counted once
//	lost         accepted messages that are not in the database, or are neither sent, nor Failed, nor waiting
//	duplicated   messages that SES accepted once more
//	ambiguous    messages that SES may have accepted without our knowledge: calls whose client was gone, and leases open
//	             when Postgres or a worker was killed or a worker suspended
//	stuck        messages that are not sent two minutes after the end of the load
//	doubled      messages in the database that no response named
//	down         time for which Postgres took no writes
//	resumed      time from its return to the next message that SES accepted
//	slowest      the longest time from a 202 to the acceptance by SES
//
// It exits with 1 when a bound of figures.go is broken.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

type settings struct {
	parts    string
	duration time.Duration
	rate     int
	logs     string
	binary   string
}

func main() {
	var set settings
	flag.StringVar(&set.parts, "part", "", "letters of the parts to run; by default all")
	flag.DurationVar(&set.duration, "duration", 0, "how long what a part does lasts; by default each has its own duration")
	flag.IntVar(&set.rate, "rate", 60, "new requests per second")
	flag.StringVar(&set.logs, "logs", "", "folder for the logs of the processes; by default they are removed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, set, os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "drills:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, set settings, out, progress io.Writer) (err error) {
	chosen, err := choose(set.parts)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "mailstack-drills-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	set.binary = filepath.Join(folder, "mailstack")
	if err := harness.Build(ctx, set.binary); err != nil {
		return err
	}
	var all []figures
	var failures []error
	for _, one := range chosen {
		found, err := one.play(ctx, set.of(one), progress)
		if err != nil {
			return errors.Join(append(failures, fmt.Errorf("part %s: %w", one.letter, err))...)
		}
		if _, err := fmt.Fprintf(out, "%s %s: %s\n", one.letter, one.name, found); err != nil {
			return fmt.Errorf("print the figures: %w", err)
		}
		all = append(all, found)
		if err := found.verdict(one.bounds); err != nil {
			failures = append(failures, fmt.Errorf("part %s: %w", one.letter, err))
		}
	}
	return errors.Join(append(failures, printTable(out, chosen, all))...)
}

// of returns the settings for one part.
func (set settings) of(one part) settings {
	if set.duration == 0 {
		set.duration = one.duration
	}
	if set.logs != "" {
		set.logs = filepath.Join(set.logs, one.letter)
	}
	return set
}

// choose returns the parts with these letters, all of them without any.
func choose(letters string) ([]part, error) {
	var chosen []part
	for _, one := range parts() {
		if letters == "" || strings.Contains(letters, one.letter) {
			chosen = append(chosen, one)
		}
	}
	if len(chosen) == 0 || letters != "" && len(chosen) != len(letters) {
		return nil, fmt.Errorf("there is no such part: %s", letters)
	}
	return chosen, nil
}

func printTable(out io.Writer, played []part, all []figures) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	write := func(cells ...string) {
		// The error of a failed write comes back from Flush.
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t")+"\t")
	}
	write(append([]string{"part"}, columns()...)...)
	for i, found := range all {
		write(append([]string{played[i].letter}, found.cells()...)...)
	}
	return table.Flush()
}
