// Command storm sends messages through two `mailstack serve` processes on one Postgres, has a simulated Amazon SES report
// what became of them, in random order and with repetitions, to both processes at once, kills one of them (SIGKILL) when
// half is reported, starts it again, and waits until nothing is left to do. Then it compares what the API and the webhooks
// said with what follows from the facts:
//
//		go run ./contracttests/event_storm -messages 10000 -seed 1
//
//	  - main.go, world.go: what runs: Postgres, the simulated SES and DNS, the account; process.go: the two processes
//	  - plan.go: what becomes of each message, at random; expect.go: what follows from it; report.go: the events, as SES
//	    writes them
//	  - topic.go: events are signed and posted as Amazon SNS does
//	  - receiver.go: the webhooks, whose every signature is verified by the library of Standard Webhooks
//	  - verdict.go: expected against seen
//
// It prints the seed, with which a run can be repeated but for what the machine decides, and at last one line:
//
//	messages=… notifications=… repeated=… … wrong_status=0 … kills=1 seconds=…
//
// notifications is how many events SES published, repeated how many posts there were beyond one for each: the same
// notification again, or the same event in another. duplicated_deliveries is how many deliveries of an event came after
// one that was answered with 200, which is allowed. It exits with 1 when a status is wrong, an event or a delivery is
// missing, unknown or has more than one id, or an address is suppressed that should not be, or the other way round.
//
// The killed process has leases on work. They end after a minute, so that a run takes longer than that. It is for Linux:
// there Go takes the authority that signed the webhooks' certificate from a file.
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

// most bounds the messages, which are all in memory.
const most = 100_000

type settings struct {
	messages int
	seed     uint64
	limit    time.Duration
}

func main() {
	var set settings
	flag.IntVar(&set.messages, "messages", 10_000, "how many messages are sent")
	flag.Uint64Var(&set.seed, "seed", uint64(time.Now().UnixNano()), "what decides the random choices")
	flag.DurationVar(&set.limit, "limit", 20*time.Minute, "how long all of it may take")
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
