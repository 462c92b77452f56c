package devdb

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// processAttributes puts the child into a process group of its own, so that Ctrl-C reaches only us and we can drain
// before the database stops. The kernel shuts the child down if we are killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}

// dataArgument passes the open folder to the child, which can then use it even if it may not pass through the folders
// above. It must be the first extra file of cmd.
func dataArgument(cmd *exec.Cmd, folder *os.File) string {
	cmd.ExtraFiles = []*os.File{folder}
	return "/proc/self/fd/3"
}

// listProcesses returns the processes of a user. It reads only what every process may read, since /proc/<pid>/exe of
// another user is closed even to root in a container. A zombie has no command line and so is left out.
func listProcesses(uid uint32) ([]runningProcess, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []runningProcess
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A process may end between any two of these: then it is not running.
		dir := filepath.Join("/proc", entry.Name())
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(command) == 0 {
			continue
		}
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != uid {
			continue
		}
		found = append(found, runningProcess{pid: pid, command: string(bytes.ReplaceAll(command, []byte{0}, []byte{' '}))})
	}
	return found, nil
}

// worksElsewhere reports whether a process certainly has another working folder than dir. Postgres works in its data
// folder.
func worksElsewhere(pid int, dir string) bool {
	theirs, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
	if err != nil {
		return false
	}
	ours, err := os.Stat(dir)
	return err == nil && !os.SameFile(theirs, ours)
}

// isPostgres reports whether a process runs and is a Postgres server. A zombie does not run.
func isPostgres(pid int) bool {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return false
	}
	name, rest, ok := strings.Cut(string(status), ") ")
	return ok && strings.HasSuffix(name, "(postgres") && !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}
