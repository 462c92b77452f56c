//go:build unix

package devdb_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
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

// childDir makes the test binary a program that runs a server on this folder until its input ends.
const childDir = "DEVDB_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(beChild(dir))
	}
	os.Exit(m.Run())
}

func beChild(dir string) int {
	server, err := devdb.Start(context.Background(), devdb.Options{DataDir: dir})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		return 1
	}
	_, _ = fmt.Fprintln(os.Stdout, server.DSN(devdb.Database))
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		return 1
	}
	if err := server.Stop(); err != nil {
		_, _ = fmt.Fprintln(os.Stdout, err)
		return 1
	}
	return 0
}

type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
}

// startChild runs the test binary as another program, with a folder for temporary files that only we can enter.
func startChild(t *testing.T, dir string) *child {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.CommandContext(t.Context(), binary)}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir, "TMPDIR="+privateDir(t))
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.stdout = bufio.NewReader(stdout)
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	return c
}

func (c *child) dsn(t *testing.T) string {
	t.Helper()
	line, err := c.stdout.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "postgres://") {
		t.Fatalf("the other program says %q, error %v", line, err)
	}
	return strings.TrimSpace(line)
}

// kill may be called again; only the first call has something to kill and to wait for.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}

func privateDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestKilledProgramLeavesNothingInTheWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killed := startChild(t, dir)
	dsn := killed.dsn(t)
	run(t, dsn, "CREATE TABLE kept AS SELECT 42 AS n")
	attached, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = attached.Close(context.WithoutCancel(t.Context())) }()
	killed.kill()
	server := start(t, dir)
	if got := run(t, server.DSN(devdb.Database), "SELECT n FROM kept"); got != "42" {
		t.Errorf("got %q", got)
	}
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Errorf("the old Postgres still answers, closing: %v", conn.Close(t.Context()))
	}
	old, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old.Host); !os.IsNotExist(err) {
		t.Errorf("the old socket's folder is left: %v", err)
	}
}

func TestSecondProgramOnTheSameData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startChild(t, dir)
	dsn := first.dsn(t)
	_, err := devdb.Start(t.Context(), devdb.Options{DataDir: dir})
	want := fmt.Sprintf("already running, pid %d:", first.cmd.Process.Pid)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := run(t, dsn, "SELECT 1"); got != "1" {
		t.Errorf("the first answers %q", got)
	}
	if err := first.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.cmd.Wait(); err != nil {
		t.Errorf("the first did not end well: %v", err)
	}
}

func TestProgramKilledWhileCreating(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	killed := startChild(t, dir)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		found, err := filepath.Glob(filepath.Join(dir, "creating-*", "base"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was being created")
		}
	}
	killed.kill()
	server := start(t, dir)
	if got := run(t, server.DSN(devdb.Database), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
}

func TestFolderThatOnlyWeCanEnter(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(privateDir(t), "home", "data")
	for range 2 {
		server := start(t, dir)
		if got := run(t, server.DSN(devdb.Database), "SELECT 1"); got != "1" {
			t.Errorf("got %q", got)
		}
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAsAnOrdinaryUser repeats other tests as an ordinary user, also if this test runs as root.
func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	home, err := os.MkdirTemp("", "devdb-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	binary := copyOfTestBinary(t, home)
	cmd := exec.CommandContext(t.Context(), binary, "-test.v",
		"-test.run=^(TestDataSurvivesARestart|TestKillAndRestart|TestFolderThatOnlyWeCanEnter|TestKilledProgramLeavesNothingInTheWay)$")
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "TMPDIR="+home, "HOME="+home)
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := os.Chown(home, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 4 {
		t.Errorf("%v\n%s", err, out)
	}
}

// copyOfTestBinary copies the test binary to where another user can run it: the folder of the go command is private.
func copyOfTestBinary(t *testing.T, dir string) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "devdb.test")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
