// Command crash accounts for every message over a crash. It starts `mailstack dev` in a folder of its own, sends, kills
// the process in the middle (SIGKILL), starts it again, and waits until every message of a 202 response is sent. Then
// it compares with the journal of the simulated SES and prints
//
//	accepted=… sent=… lost=… duplicated=… in_flight=… seconds=…
//
// The files:
//
//   - main.go: settings, the course of a run, the printed line
//   - server.go: the server, started and killed, and the requests to it
//   - account.go: the outcome of every message
//
// accepted is the number of sends with a 202 response, sent the number of those that are Sent and in the journal, lost
// the difference. duplicated is the number of journal entries beyond the first of each message. in_flight is the number
// of messages that the killed process was sending: their leases were open when it died. seconds is the time from the
// kill until all were sent.
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
	flag.IntVar(&set.sends, "sends", 200, "emails sent at the same time")
	flag.IntVar(&set.killAfter, "kill-after", 100, "accepted emails before the kill")
	flag.DurationVar(&set.limit, "limit", 150*time.Second, "time after the kill within which everything must be sent")
	flag.DurationVar(&set.delay, "delay", 50*time.Millisecond, "response time of the simulated SES before the kill")
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
		return errors.New("guarantee broken: no accepted message may be lost, none duplicated that was not in flight")
	}
	return nil
}
