package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

// ticksPerSecond is USER_HZ, the unit in which Linux counts processor time (proc(5)).
const ticksPerSecond = 100

// processorTime returns the processor time of a process and of its children that still run.
func processorTime(pid int) (time.Duration, error) {
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, fmt.Errorf("list the processes: %w", err)
	}
	var total time.Duration
	for _, entry := range entries {
		content, err := os.ReadFile(entry)
		if err != nil {
			continue // it has ended
		}
		// The command name stands in parentheses and may contain any character.
		fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
		if len(fields) < 13 {
			continue
		}
		if filepath.Base(filepath.Dir(entry)) != strconv.Itoa(pid) && fields[1] != strconv.Itoa(pid) {
			continue
		}
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the processor time of %s: %w", entry, err)
			}
			total += time.Duration(ticks) * time.Second / ticksPerSecond
		}
	}
	return total, nil
}

// residentPeak returns the peak resident memory of a process, in bytes.
func residentPeak(pid int) (int64, error) { return memoryOf(pid, "VmHWM:") }

func memoryOf(pid int, line string) (int64, error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("read the memory of a process: %w", err)
	}
	for _, one := range strings.Split(string(content), "\n") {
		if value, found := strings.CutPrefix(one, line); found {
			kilobytes, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("the status of process %d has no %s", pid, line)
}

// postmaster returns the process id of Postgres; its sessions are children of that process.
func (w *world) postmaster() (int, error) {
	content, err := os.ReadFile(filepath.Join(w.harness.Folder, "postgres", "cluster", "postmaster.pid"))
	if err != nil {
		return 0, fmt.Errorf("find the process of Postgres: %w", err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	return strconv.Atoi(first)
}

// spent is the processor time that a server, Postgres and this program have used so far, and how much Postgres has logged.
type spent struct {
	server, postgres, client time.Duration
	allocations, logged      float64
}

func (w *world) spent(ctx context.Context, at api) (spent, error) {
	postmaster, err := w.postmaster()
	if err != nil {
		return spent{}, err
	}
	var now spent
	if now.server, err = processorTime(at.PID); err != nil {
		return now, err
	}
	if now.postgres, err = processorTime(postmaster); err != nil {
		return now, err
	}
	now.client = ownTime()
	if err := w.store.Pool().QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8").Scan(&now.logged); err != nil {
		return now, fmt.Errorf("ask Postgres for its log: %w", err)
	}
	now.allocations, err = metric(ctx, at.admin, "go_memstats_mallocs_total")
	return now, err
}

// cost drives a server once more, and reports what one accepted email costs.
func (w *world) cost(ctx context.Context, at api, connections int) error {
	before, err := w.spent(ctx, at)
	if err != nil {
		return err
	}
	counted := countInstructions(ctx, at.PID, w.set.each)
	load, err := harness.Drive(ctx, at.address, connections, w.set.each, harness.Request{Path: singlePath, Key: w.tenant.Key}, w.single)
	if err != nil {
		return err
	}
	after, err := w.spent(ctx, at)
	if err != nil {
		return err
	}
	peak, err := residentPeak(at.PID)
	if err != nil {
		return err
	}
	emails := float64(load.Requests)
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / emails }
	found := cost{
		Server: each(after.server - before.server), Postgres: each(after.postgres - before.postgres), Client: each(after.client - before.client),
		Allocations: (after.allocations - before.allocations) / emails, Logged: (after.logged - before.logged) / emails,
		ResidentMiB: mebibytes(peak), Instructions: counted() / emails,
	}
	if connections == most {
		w.report.Cost = found
	} else {
		w.report.CostOfMany = found
	}
	return nil
}

// countInstructions starts to count the instructions that a process executes during the given time. The function it
// returns waits for the end of that time and returns the count, or 0 without a hardware counter or perf(1).
func countInstructions(ctx context.Context, pid int, duration time.Duration) func() float64 {
	seconds := strconv.FormatFloat(duration.Seconds(), 'f', -1, 64)
	command := exec.CommandContext(ctx, "perf", "stat", "-x,", "-e", "instructions", "-p", strconv.Itoa(pid), "sleep", seconds)
	var said bytes.Buffer
	command.Stderr = &said
	if command.Start() != nil {
		return func() float64 { return 0 }
	}
	return func() float64 {
		if command.Wait() != nil {
			return 0
		}
		value, _, _ := strings.Cut(said.String(), ",")
		count, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0 // "<not supported>"
		}
		return count
	}
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
