// Command crash accounts for every message over a crash: it starts `mailstack dev` in a folder of its own, sends,
// kills the process in the middle (SIGKILL), starts it again, and waits until everything that was answered with 202
// is sent. Then it compares with the journal of the simulated SES and prints
//
//	accepted=… sent=… lost=… duplicated=… in_flight=… seconds=…
//
// accepted is how many sends were answered with 202, sent how many of those are Sent and in the journal, lost the
// difference. duplicated is how many messages in the journal are there once more, in_flight how many the killed
// process was sending: their leases were open when it died. seconds is from the kill until all were sent.
//
// It exits with 1 when a message is lost, or more are duplicated than were in flight.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type settings struct {
	sends     int
	killAfter int
	limit     time.Duration
	delay     time.Duration
}

func main() {
	var set settings
	flag.IntVar(&set.sends, "sends", 200, "how many emails are sent at the same time")
	flag.IntVar(&set.killAfter, "kill-after", 100, "how many are accepted before the kill")
	flag.DurationVar(&set.limit, "limit", 150*time.Second, "how long after the kill everything must be sent")
	flag.DurationVar(&set.delay, "delay", 50*time.Millisecond, "how long the simulated SES takes for an answer before the kill")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, set); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, set settings) (err error) {
	folder, err := os.MkdirTemp("", "mailstack-crash-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	binary := filepath.Join(folder, "mailstack")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/voostack/mailstack")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build mailstack: %w", err)
	}
	data := filepath.Join(folder, "data")

	first, err := start(ctx, binary, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, first.Stop()) }()
	if err := first.delay(ctx, set.delay); err != nil {
		return err
	}
	accepted := first.sendAndKill(ctx, set)
	if len(accepted) == 0 {
		return errors.New("nothing was accepted before the kill")
	}
	killed := time.Now()

	second, err := start(ctx, binary, data)
	if err != nil {
		return fmt.Errorf("after the kill: %w", err)
	}
	defer func() { err = errors.Join(err, second.Stop()) }()
	found, err := second.account(ctx, accepted, killed, set.limit)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(os.Stdout, "accepted=%d sent=%d lost=%d duplicated=%d in_flight=%d seconds=%.1f\n",
		len(accepted), found.sent, len(accepted)-found.sent, found.duplicated, found.inFlight, found.took.Seconds()); err != nil {
		return fmt.Errorf("print the figures: %w", err)
	}
	if found.sent < len(accepted) || found.duplicated > found.inFlight {
		return errors.New("the promise is broken: nothing accepted may be lost, and nothing doubled that was not in flight")
	}
	return nil
}
