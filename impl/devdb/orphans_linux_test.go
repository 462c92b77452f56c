package devdb_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/devdb"
)

// orphan starts the Postgres of a folder as an earlier program that was killed would leave it: the lock is free, no
// parent's end stops it, and no parent waits for it when it has ended. A name replaces the name of its cluster.
func orphan(t *testing.T, dir, name string) *exec.Cmd {
	t.Helper()
	server := start(t, dir)
	run(t, server.DSN(devdb.Database), "CREATE TABLE kept AS SELECT 42 AS n")
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pidOf(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	cluster, err := os.Open(filepath.Join(dir, "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	}()
	info, err := cluster.Stat()
	if err != nil {
		t.Fatal(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("the folder has no owner")
	}
	var args []string
	for _, arg := range bytes.Split(bytes.TrimSuffix(command, []byte{0}), []byte{0}) {
		args = append(args, string(arg))
	}
	// The folder of its socket went with the server.
	sockets, err := os.MkdirTemp("/tmp", "devdb-orphan-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(sockets, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		if args[i] == "-k" {
			args[i+1] = sockets
		}
		if name != "" && strings.HasPrefix(args[i], "cluster_name=") {
			args[i] = "cluster_name=" + name
		}
	}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.ExtraFiles = []*os.File{cluster}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It has ended by now unless the test failed.
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if err := os.RemoveAll(sockets); err != nil {
			t.Error(err)
		}
	})
	awaitAnswer(t, cmd, "postgres:///mailstack?user=mailstack&sslmode=disable&port=5432&host="+sockets)
	return cmd
}

func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := orphan(t, dir, "")
	server := start(t, dir)
	if got := run(t, server.DSN(devdb.Database), "SELECT n FROM kept"); got != "42" {
		t.Errorf("got %q", got)
	}
	// No process has waited for it, so it must be a zombie now.
	if state := stateOf(t, left.Process.Pid); state != "Z" {
		t.Errorf("the orphan is in state %s", state)
	}
}

func TestPIDFileOfAZombie(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := orphan(t, dir, "")
	if err := left.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "cluster", "postmaster.pid")); err != nil {
		t.Fatal(err)
	}
	server := start(t, dir)
	if got := run(t, server.DSN(devdb.Database), "SELECT n FROM kept"); got != "42" {
		t.Errorf("got %q", got)
	}
}

// TestServerThatSomebodyElseStarted: a server that was started by hand on our folder is not stopped, and no second
// server is started, which would destroy the data.
func TestServerThatSomebodyElseStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs := orphan(t, dir, "theirs")
	_, err := devdb.Start(t.Context(), devdb.Options{DataDir: dir})
	want := fmt.Sprintf("another Postgres, pid %d", theirs.Process.Pid)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if state := stateOf(t, theirs.Process.Pid); state == "Z" {
		t.Error("it was stopped")
	}
}

func stateOf(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), ") ")
	return rest[:1]
}

func awaitAnswer(t *testing.T, cmd *exec.Cmd, dsn string) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			if err := conn.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			return
		}
		if time.Now().After(deadline) || stateOf(t, cmd.Process.Pid) == "Z" {
			t.Fatal("the orphan does not answer: ", err)
		}
	}
}
