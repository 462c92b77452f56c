// Command chaos accounts for every message over many crashes. Two API processes, two workers and the simulated SES run as
// programs of their own on one Postgres. Clients send as fast as they are answered, every request under an idempotency key
// and again until it is answered for good. Meanwhile, at random, one of the processes is killed with SIGKILL and started
// again, or Postgres is, and the simulated SES throttles, fails, hangs, dawdles, cuts connections and keeps answers back.
// Then everything is mended, and what the clients were told is held against the database and the journal of the simulator.
//
//   - main.go: settings, the course of a run
//   - stage.go: the processes, started and killed
//   - faults.go: what goes wrong, in a sequence that the seed decides
//   - tenants.go: the organizations; two have an allowance or a spend cap that they reach
//   - clients.go, request.go: requests, and what was answered
//   - simulator.go: the control API of the simulated SES
//   - account.go: what became of the messages
//   - figures.go: the line that is printed, and what it has to say
//
// The figures:
//
//	accepted         messages that were answered with 202, each once
//	sent             those of them that SES took, by its journal
//	lost             those that are neither sent, nor Failed, nor waiting; and those that are not in the database
//	duplicated       messages in the journal beyond the first of each id
//	ambiguous        how many SES may have taken without our knowing: answers that it kept back, calls that were given up,
//	                 and the leases that were open when a worker, Postgres or SES was killed
//	over_cap         emails beyond the allowance or cap of an organization
//	stuck            messages that are not final two minutes after the last fault
//	doubled_accepts  messages under an idempotency key beyond those of its answer
//	miscounted       emails by which usage counters differ from what was accepted
//	failed           messages that ended as Failed: nothing here is a reason to
//	kills, dropped_answers, capped   how hard it was: a run in which too little went wrong is void
//	seconds          how long it took
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

// stuckAfter is how long after the last fault every message must be final.
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
	flag.DurationVar(&set.duration, "duration", 5*time.Minute, "how long things go wrong")
	flag.Uint64Var(&set.seed, "seed", 0, "repeats the faults of a run; 0: at random")
	flag.IntVar(&set.connections, "connections", 24, "how many clients send at once")
	flag.IntVar(&set.backlog, "backlog", 20_000, "with more messages and events than this waiting to be dealt with, clients pause")
	flag.StringVar(&set.logs, "logs", "", "folder for the logs of the processes; default: they are lost")
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
	defer func() { err = errors.Join(err, keepLogs(ground.Folder, set.logs), ground.Close()) }()
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
	s.say("everything is mended; %d messages are accepted", c.accepted())
	waiting, err := s.awaitFinal(ctx, last.Add(stuckAfter))
	if err != nil {
		return err
	}
	s.say("%d messages wait, %.1f s after the last fault", waiting, time.Since(last).Seconds())
	found, err := s.account(ctx, c)
	if err != nil {
		return err
	}
	found.seconds = time.Since(s.began).Seconds()
	if _, err := fmt.Fprintf(out, "seed=%d duration=%s\n%s\n", set.seed, set.duration, found); err != nil {
		return fmt.Errorf("print the figures: %w", err)
	}
	return errors.Join(c.problems(), found.verdict(), found.void(set.duration))
}

// bringAbout lets the clients send while things go wrong. When it returns everything runs again, and every request has its
// answer.
func (s *stage) bringAbout(ctx context.Context, set settings, c *clients) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faulty, mended := context.WithTimeout(ctx, set.duration)
	defer mended()
	var sending, breaking sync.WaitGroup
	failures := make([]error, 2)
	for i := range set.connections {
		sending.Go(func() { c.send(ctx, faulty, i) })
	}
	breaking.Go(func() { c.pauseWhile(faulty, func(ctx context.Context) bool { return s.behind(ctx, set.backlog) }) })
	for i, track := range []func(context.Context, *rand.Rand) error{s.killOneAfterAnother, s.troubleSES} {
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
