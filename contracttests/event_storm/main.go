// Command event_storm reports the events of many messages to two `mailstack serve` processes on one Postgres. It sends
// the messages through both, has a simulated Amazon SES report their events to both at once, in random order and with
// repetitions, kills one process (SIGKILL) when half is reported, starts it again, and waits until no work is left.
// Then it compares the results in the API and the webhooks with the results that follow from the events:
//
//	go run ./contracttests/event_storm -messages 10000 -seed 1
//
// The files:
//
//   - main.go, world.go: everything that runs: Postgres, the simulated SES and DNS, the organization
//   - process.go: the two server processes; client.go: requests to their API
//   - plan.go: the random events of each message; expect.go: the results that follow from them; report.go: the events,
//     as SES writes them
//   - topic.go: events posted as Amazon SNS does; certificate.go: the certificate of the webhooks
//   - receiver.go: the webhooks; the library of Standard Webhooks verifies every signature
//   - storm.go: sending, reporting, the kill, and waiting for the end
//   - verdict.go: expected against seen
//
// It prints the seed, which repeats the random choices of a run (timing still depends on the machine), and at last one
// line:
//
//	messages=… notifications=… repeated=… … wrong_status=0 … kills=1 seconds=…
//
// notifications is the number of events that SES published, repeated the number of posts beyond one for each: the same
// notification again, or the same event in another. duplicated_deliveries is the number of deliveries of an event after
// one that got a 200, which is allowed. It exits with 1 when a status is wrong, when an event or a delivery is missing,
// unknown or has more than one id, or when an address is wrongly suppressed or wrongly not suppressed.
//
// The leases of the killed process end after a minute, so a run takes longer than that. It runs on Linux only, where Go
// reads the authority that signed the webhooks' certificate from a file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// most bounds the number of messages, which are all in memory.
const most = 100_000

type settings struct {
	messages int
	seed     uint64
	limit    time.Duration
}

func main() {
	var set settings
	flag.IntVar(&set.messages, "messages", 10_000, "messages to send")
	flag.Uint64Var(&set.seed, "seed", uint64(time.Now().UnixNano()), "seed of the random choices")
	flag.DurationVar(&set.limit, "limit", 20*time.Minute, "time limit of the run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, set); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, set settings) (err error) {
	if set.messages < 1 || set.messages > most {
		return fmt.Errorf("messages must be from 1 to %d", most)
	}
	if _, err := fmt.Fprintf(os.Stdout, "seed=%d\n", set.seed); err != nil {
		return fmt.Errorf("print the seed: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, set.limit)
	defer cancel()
	began := time.Now()
	w, err := newWorld(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	random := rand.New(rand.NewPCG(set.seed, 0)) //nolint:gosec // G404: choices that a seed repeats are what is wanted
	messages := planRecipients(random, set.messages)
	if err := w.send(ctx, messages); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	if err := w.awaitSent(ctx, messages); err != nil {
		return fmt.Errorf("wait until everything is sent: %w", err)
	}
	for _, one := range messages {
		one.planFacts(random)
	}
	posts, published := plannedPosts(random, messages)
	if err := w.storm(ctx, posts); err != nil {
		return fmt.Errorf("report events: %w", err)
	}
	if err := w.awaitQuiet(ctx); err != nil {
		return fmt.Errorf("wait until nothing is left to do: %w", err)
	}
	found, err := w.account(ctx, messages)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if _, err := fmt.Fprintf(os.Stdout, "messages=%d notifications=%d repeated=%d %s kills=1 seconds=%.0f\n",
		len(messages), published, len(posts)-published, found, time.Since(began).Seconds()); err != nil {
		return fmt.Errorf("print the figures: %w", err)
	}
	return found.err()
}
