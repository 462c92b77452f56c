//go:build unix

package devdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type runningProcess struct {
	pid     int
	command string
}

// isLeader reports whether the process is the postmaster, which was started with the name as an argument; its children
// only show the name in their titles.
func (p runningProcess) isLeader(name string) bool {
	return strings.Contains(p.command, "cluster_name="+name)
}

// clusterProcesses returns the running processes of the cluster with that name.
func clusterProcesses(name string, uid uint32) ([]runningProcess, error) {
	all, err := listProcesses(uid)
	if err != nil {
		return nil, fmt.Errorf("looking for an earlier Postgres: %w", err)
	}
	var found []runningProcess
	for _, process := range all {
		if process.isLeader(name) || strings.HasPrefix(process.command, "postgres: "+name+": ") {
			found = append(found, process)
		}
	}
	return found, nil
}

// clearOrphans stops the Postgres of an earlier process that was killed, and removes the pid file that would keep a
// new one from starting. The pid file must not be removed earlier: two servers on one data folder destroy the data.
func (c *cluster) clearOrphans(ctx context.Context, name string, log *slog.Logger) error {
	stages := []struct {
		leader, child syscall.Signal
		wait          time.Duration
	}{
		{leader: syscall.SIGINT, child: syscall.SIGTERM, wait: 10 * time.Second},
		{leader: syscall.SIGQUIT, child: syscall.SIGQUIT, wait: 5 * time.Second},
		{leader: syscall.SIGKILL, child: syscall.SIGKILL, wait: 5 * time.Second},
	}
	for _, stage := range stages {
		left, err := clusterProcesses(name, c.uid())
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return c.removeStalePID()
		}
		log.InfoContext(ctx, "stopping the Postgres of an earlier run", "pid", left[0].pid, "signal", stage.leader.String())
		signalProcesses(left, name, stage.leader, stage.child)
		gone, err := c.awaitGone(ctx, name, stage.wait)
		if err != nil {
			return err
		}
		if gone {
			return c.removeStalePID()
		}
	}
	return errors.New("a Postgres of an earlier run does not stop")
}

// signalProcesses signals the postmaster, which stops its children in order; without a postmaster it signals the
// children. Signalling a process that has ended fails, which does not matter.
func signalProcesses(processes []runningProcess, name string, leader, child syscall.Signal) {
	led := false
	for _, process := range processes {
		// A child that was just forked looks like the postmaster, too.
		if process.isLeader(name) {
			led = true
			_ = syscall.Kill(process.pid, leader)
		}
	}
	if led {
		return
	}
	for _, process := range processes {
		_ = syscall.Kill(process.pid, child)
	}
}

func (c *cluster) awaitGone(ctx context.Context, name string, limit time.Duration) (bool, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := clusterProcesses(name, c.uid())
		if err != nil || len(left) == 0 {
			return err == nil, err
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("waiting for an earlier Postgres to stop: %w", ctx.Err())
		case <-deadline.C:
			return false, nil
		case <-tick.C:
		}
	}
}

// removeStalePID removes the pid file of a dead server. Postgres would take any process that has that number by now,
// even a zombie, for a living server.
func (c *cluster) removeStalePID() error {
	path := filepath.Join(c.data(), "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the pid file of Postgres: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	// A file without a number was cut off while it was written.
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err == nil && isPostgres(pid) && !worksElsewhere(pid, c.data()) {
		return fmt.Errorf("another Postgres, pid %d, which was not started from here, uses %s", pid, c.data())
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing a stale pid file: %w", err)
	}
	return nil
}
