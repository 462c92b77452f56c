package harness

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

// Command is a program to start.
type Command struct {
	// Name stands for the program in messages.
	Name, Program          string
	Arguments, Environment []string
	Stdout, Stderr         io.Writer
	// OnEnd is called once the program has ended and all of its output is written. Nil means nothing is done.
	OnEnd func() error
}

// Process is a program that Launch started. It is ended by its process id only.
type Process struct {
	Name string
	// PID is zero before the start.
	PID   int
	ended chan struct{}
	cmd   *exec.Cmd
}

// Launch starts a program in the background. The program outlives ctx.
func Launch(ctx context.Context, command Command) (*Process, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command.Program, command.Arguments...)
	cmd.Env, cmd.Stdout, cmd.Stderr = command.Environment, command.Stdout, command.Stderr
	// Signals to the terminal's process group reach the program that called Launch, which ends this one in its own
	// time.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Name, err)
	}
	p := &Process{Name: command.Name, PID: cmd.Process.Pid, ended: make(chan struct{}), cmd: cmd}
	go func() {
		// Ignore the error: the program was ended on purpose, or its log says why it ended.
		_ = cmd.Wait()
		if command.OnEnd != nil {
			_ = command.OnEnd()
		}
		close(p.ended)
	}()
	return p, nil
}

// Start runs the binary in the background. Its environment is minimal: the URL of the database, a secret key,
// credentials for the simulators, and the given variables. Its output goes to <name>.log in the folder.
func (h *Harness) Start(ctx context.Context, name, database string, environment []string, arguments ...string) (*Process, error) {
	return h.StartProgram(ctx, h.Binary, name, database, environment, arguments...)
}

// StartProgram is like Start, for another program.
func (h *Harness) StartProgram(
	ctx context.Context, program, name, database string, environment []string, arguments ...string,
) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(h.Folder, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	p, err := Launch(ctx, Command{
		Name: name, Program: program, Arguments: arguments, Stdout: log, Stderr: log, OnEnd: log.Close,
		Environment: append([]string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + h.Folder, "TMPDIR=" + os.TempDir(),
			"DATABASE_URL=" + h.Postgres.DSN(database), "MAILSTACK_SECRET_KEY=" + h.secretKey, "MAILSTACK_ADMIN_ADDR=off", "MAILSTACK_LAME_DUCK=0",
			"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=harness", "AWS_SECRET_ACCESS_KEY=harness", "AWS_EC2_METADATA_DISABLED=true",
		}, environment...),
	})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	h.processes = append(h.processes, p)
	return p, nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill sends SIGKILL and waits for the end.
func (p *Process) Kill() {
	// Kill fails only for a process that has ended already.
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Suspend stops the process where it is (SIGSTOP), until Resume.
func (p *Process) Suspend() error { return p.signal("suspend", syscall.SIGSTOP) }

// Resume continues a suspended process (SIGCONT). One that was killed meanwhile stays dead.
func (p *Process) Resume() error { return p.signal("resume", syscall.SIGCONT) }

func (p *Process) signal(what string, signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s %s: %w", what, p.Name, err)
	}
	return nil
}

// Stop sends SIGTERM and waits for the end; it kills the process after stopLimit.
func (p *Process) Stop() error {
	if err := p.signal("stop", syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopLimit):
		p.Kill()
		return fmt.Errorf("%s did not stop within %s", p.Name, stopLimit)
	}
}

// Await returns when the URL responds with 200.
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
			return fmt.Errorf("%s does not respond: %w", p.Name, ctx.Err())
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

// FreeAddress returns a loopback address that is unused at this moment.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
