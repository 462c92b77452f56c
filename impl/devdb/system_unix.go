//go:build unix && !linux

package devdb

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processAttributes puts the child into a process group of its own, so that Ctrl-C reaches only us and we can drain
// before the database stops.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// dataArgument names the folder by its path: Postgres's user must be able to reach it.
func dataArgument(_ *exec.Cmd, folder *os.File) string { return folder.Name() }

// listProcesses returns the processes of a user.
func listProcesses(uid uint32) ([]runningProcess, error) {
	out, err := ps("-axww", "-o", "pid=,uid=,command=")
	if err != nil {
		return nil, err
	}
	var found []runningProcess
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != strconv.FormatUint(uint64(uid), 10) {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			return nil, fmt.Errorf("reading the list of processes: %w", err)
		}
		found = append(found, runningProcess{pid: pid, command: strings.Join(fields[2:], " ")})
	}
	return found, nil
}

// worksElsewhere returns false: the working folder of a process is not known here.
func worksElsewhere(int, string) bool { return false }

// isPostgres reports whether a process runs and is a Postgres server. A zombie does not run.
func isPostgres(pid int) bool {
	out, err := ps("-p", strconv.Itoa(pid), "-o", "state=,comm=")
	if err != nil {
		return false
	}
	fields := strings.Fields(out)
	return len(fields) >= 2 && !strings.HasPrefix(fields[0], "Z") && filepath.Base(fields[len(fields)-1]) == "postgres"
}

func ps(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", args...).Output()
	if err != nil {
		return "", fmt.Errorf("listing processes: %w", err)
	}
	return string(out), nil
}
