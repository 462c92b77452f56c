package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

const (
	startLimit = 60 * time.Second
)

// server is a `mailstack serve`, which may be killed and started again.
type server struct {
	*harness.Process

	binary      string
	environment []string
	address     atomic.Pointer[string]
}

func (s *server) url() string { return *s.address.Load() }

// start returns when the server logs that it serves. It shows the errors that the server logs.
func (s *server) start(ctx context.Context) error {
	output, logged := io.Pipe()
	process, err := harness.Launch(ctx, harness.Command{
		Name: "mailstack serve", Program: s.binary, Arguments: []string{"serve"}, Environment: s.environment, Stderr: logged,
		OnEnd: logged.Close,
	})
	if err != nil {
		return err
	}
	s.Process = process
	serving := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			s.read(lines.Text(), serving)
		}
		_, _ = io.Copy(io.Discard, output) // a line that was too long to scan
	}()
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case <-serving:
		return nil
	case <-process.Ended():
		return errors.New("mailstack ended instead of serving")
	case <-timer.C:
		process.Kill()
		return fmt.Errorf("mailstack did not serve within %s", startLimit)
	}
}

func (s *server) read(line string, serving chan struct{}) {
	var said struct{ Level, Msg, Address string }
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.Level == "ERROR" {
		_, _ = fmt.Fprintln(os.Stderr, line)
		return
	}
	if said.Msg == "serving" {
		at := "http://" + said.Address
		s.address.Store(&at)
		close(serving)
	}
}

// run runs the binary to its end and returns what it printed.
func (s *server) run(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, s.binary, arguments...)
	command.Env = s.environment
	var failure strings.Builder
	command.Stderr = &failure
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("mailstack %s: %w: %s", strings.Join(arguments, " "), err, failure.String())
	}
	return strings.TrimSpace(string(output)), nil
}
