package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	startLimit = 60 * time.Second
	stopLimit  = 40 * time.Second
	look       = 10 * time.Millisecond
)

// Process is a program that was started here. It is ended by its process id and no other way.
type Process struct {
	Name string
	// PID is 0 when it has not been started.
	PID   int
	ended chan struct{}
	log   *os.File
	cmd   *exec.Cmd
}

// Start runs the binary in the background with a bare environment: what the database is called, and what is given.
// What it prints goes to <name>.log in the folder.
func (r *Rig) Start(ctx context.Context, name, database string, environment []string, arguments ...string) (*Process, error) {
	return r.StartProgram(ctx, r.Binary, name, database, environment, arguments...)
}

// StartProgram is Start for another program.
func (r *Rig) StartProgram(
	ctx context.Context, program, name, database string, environment []string, arguments ...string,
) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(r.Folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), program, arguments...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.Folder, "TMPDIR=" + os.TempDir(),
		"DATABASE_URL=" + r.Postgres.DSN(database), "MAILSTACK_SECRET_KEY=" + r.secretKey,
		"MAILSTACK_ADMIN_ADDR=off", "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=rig", "AWS_SECRET_ACCESS_KEY=rig", "AWS_EC2_METADATA_DISABLED=true",
	}, environment...)
	cmd.Stdout, cmd.Stderr = log, log
	// A signal to the terminal's group is for the program that started it, which ends it in its own time.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	p := &Process{Name: name, PID: cmd.Process.Pid, ended: make(chan struct{}), log: log, cmd: cmd}
	go func() {
		// How it ends is its starter's doing, or shows in its log.
		_ = cmd.Wait()
		_ = log.Close()
		close(p.ended)
	}()
	r.processes = append(r.processes, p)
	return p, nil
}

// Ended is closed when the process is no more.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	// One that has ended already is none to kill.
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Stop sends SIGTERM and waits for the end; it kills what does not end.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopLimit):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s", p.Name, stopLimit)
	}
}

// Await returns when the URL answers with 200.
func (p *Process) Await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		if answers(ctx, url) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", p.Name, ctx.Err())
		case <-p.ended:
			return fmt.Errorf("%s ended at once", p.Name)
		case <-ticker.C:
		}
	}
}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// FreeAddress is a loopback address that nobody listens on at this moment.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
