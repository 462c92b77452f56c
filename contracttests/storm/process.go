package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	startLimit = 60 * time.Second
	stopLimit  = 40 * time.Second
)

// server is a `mailstack serve`, which may be killed and started again.
type server struct {
	binary      string
	environment []string
	address     atomic.Pointer[string]
	command     *exec.Cmd
	ended       chan struct{}
}

func (s *server) url() string { return *s.address.Load() }

// start returns when the server says that it serves. What it logs as an error is shown.
func (s *server) start(ctx context.Context) error {
	command := exec.CommandContext(ctx, s.binary, "serve")
	command.Env = s.environment
	output, err := command.StderrPipe()
	if err != nil {
		return fmt.Errorf("read what mailstack logs: %w", err)
	}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start mailstack: %w", err)
	}
	s.command, s.ended = command, make(chan struct{})
	ended, serving := s.ended, make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			s.read(lines.Text(), serving)
		}
		// How it ends is our own doing.
		_ = command.Wait()
	}()
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case <-serving:
		return nil
	case <-ended:
		return fmt.Errorf("mailstack ended instead of serving: %s", command.ProcessState)
	case <-timer.C:
		s.kill()
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

// kill is SIGKILL, to this one process; it returns when the process is gone.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	<-s.ended
}

// stop ends the process if it still runs, by force when it takes too long.
func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(stopLimit, func() { _ = s.command.Process.Kill() })
	defer timer.Stop()
	<-s.ended
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
