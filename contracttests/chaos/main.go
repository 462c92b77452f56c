// Command chaos accounts for every message over many crashes. Two API processes, two workers and the simulated SES run
// as separate programs on one Postgres. Clients send as fast as responses arrive, and repeat every request under its
// idempotency key until it has a final response. Meanwhile, at random, one of the processes or Postgres is killed with
// SIGKILL and started again, one is suspended (SIGSTOP) and resumed, and the simulated SES throttles, fails, hangs, is
// slow, cuts connections and withholds responses. All the while a transaction holds a snapshot, as a backup does, so that
// no dead row is removed. Then all faults end, and chaos compares the responses with the database and the simulator's
// journal.
//
//   - main.go: settings, the course of a run
//   - stage.go: the processes, started and killed
//   - faults.go: kills and faults of SES, in a sequence that the seed decides
//   - suspend.go: suspended processes; snapshot.go: the snapshot that is held
//   - tenants.go: the organizations; two have an allowance or a spend cap that they reach
//   - clients.go, request.go: requests and their responses
//   - simulator.go: the control API of the simulated SES
//   - account.go: the outcome of every message
//   - figures.go: the printed line, and the values it must have
//
// The figures:
//
//	accepted         messages in 202 responses, each counted once
//	sent             accepted messages that are in the journal of the simulated SES
//	lost             accepted messages that are not in the database, or are neither sent, nor Failed, nor waiting
//	duplicated       messages in the journal beyond the first of each id
//	ambiguous        messages that SES may have accepted without our knowledge: responses that it withheld, calls that
//	                 timed out, and leases open when a worker, Postgres or SES was killed or a worker suspended
//	over_cap         emails beyond the allowance or cap of an organization
//	stuck            messages that are not final two minutes after the last fault
//	doubled_accepts  messages in the database that no response named
//	miscounted       emails by which usage counters differ from what was accepted
//	failed           messages that ended as Failed; nothing in a run is a reason to
//	kills, stops, dropped_answers, capped, snapshot   how hard the run was: with too little of them it is void; stops
//	                 are suspended processes, snapshot is the share of the time for which one was held
//	seconds          duration of the run
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

// stuckAfter is the time after the last fault by which every message must be final.
const stuckAfter = 120 * time.Second

type settings struct {
	duration    time.Duration
	seed        uint64
	connections int
	backlog     int
	logs        string
}

func main() {
	var set settings
	flag.DurationVar(&set.duration, "duration", 5*time.Minute, "how long faults occur")
	flag.Uint64Var(&set.seed, "seed", 0, "seed that repeats the faults of a run; 0 draws one")
	flag.IntVar(&set.connections, "connections", 24, "clients that send at once")
	flag.IntVar(&set.backlog, "backlog", 20_000, "maximum queued messages and events before clients pause")
	flag.StringVar(&set.logs, "logs", "", "folder for the logs of the processes; by default they are removed")
	flag.Parse()
	if set.seed == 0 {
		set.seed = rand.Uint64N(1_000_000_000) + 1 //nolint:gosec // no secret
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, set, os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, set settings, out, progress io.Writer) (err error) {
	ground, err := harness.New(ctx, 120)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ground.KeepLogs(set.logs), ground.Close()) }()
	s, err := newStage(ctx, ground, progress)
	if err != nil {
		return err
	}
	defer s.database.Close()
	organizations, err := s.organizations(ctx, set.duration)
	if err != nil {
		return err
	}
	c := newClients(s.apis, organizations, set.connections)
	if err := s.bringAbout(ctx, set, c); err != nil {
		return err
	}
	last := time.Now()
	s.say("all faults have ended; %d messages accepted", c.accepted())
	waiting, err := harness.AwaitSent(ctx, s.database, last.Add(stuckAfter))
	if err != nil {
		return err
	}
	s.say("%d messages still queued %.1f s after the last fault", waiting, time.Since(last).Seconds())
	found, err := s.account(ctx, c)
	if err != nil {
		return err
	}
	found.snapshot = s.held.Seconds() / set.duration.Seconds()
	found.seconds = time.Since(s.began).Seconds()
	if _, err := fmt.Fprintf(out, "seed=%d duration=%s\n%s\n", set.seed, set.duration, found); err != nil {
		return fmt.Errorf("print the figures: %w", err)
	}
	return errors.Join(c.problems(), found.verdict(), found.void(set.duration))
}

// bringAbout lets the clients send while faults occur. When it returns, every process runs and every request has
// its final response.
func (s *stage) bringAbout(ctx context.Context, set settings, c *clients) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faulty, mended := context.WithTimeout(ctx, set.duration)
	defer mended()
	var sending, breaking sync.WaitGroup
	tracks := []func(context.Context, *rand.Rand) error{s.killOneAfterAnother, s.troubleSES, s.suspendOneAfterAnother}
	failures := make([]error, len(tracks))
	for i := range set.connections {
		sending.Go(func() { c.send(ctx, faulty, i) })
	}
	breaking.Go(func() { c.pauseWhile(faulty, func(ctx context.Context) bool { return s.behind(ctx, set.backlog) }) })
	breaking.Go(func() { s.holdSnapshot(faulty) })
	for i, track := range tracks {
		breaking.Go(func() {
			failures[i] = track(faulty, rand.New(rand.NewPCG(set.seed, uint64(i)))) //nolint:gosec // faults are to be repeatable
			if failures[i] != nil {
				cancel()
			}
		})
	}
	breaking.Wait()
	if err := errors.Join(failures...); err != nil {
		return err
	}
	if err := s.mend(ctx); err != nil {
		return err
	}
	sending.Wait()
	return ctx.Err()
}
