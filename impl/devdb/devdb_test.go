//go:build unix

package devdb_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/devdb"
)

func start(t *testing.T, dir string) *devdb.Server {
	t.Helper()
	server, err := devdb.Start(t.Context(), devdb.Options{DataDir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func run(t *testing.T, dsn, statement string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	results, err := conn.PgConn().Exec(t.Context(), statement).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	last := results[len(results)-1]
	if len(last.Rows) == 0 {
		return ""
	}
	return string(last.Rows[0][0])
}

func pidOf(t *testing.T, dir string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "cluster", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	run(t, first.DSN(devdb.Database), "CREATE TABLE kept AS SELECT 42 AS n")
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-first.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if err := first.Stop(); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
	if err := first.Restart(t.Context()); err == nil {
		t.Error("a stopped server could be restarted")
	}
	second := start(t, dir)
	if got := run(t, second.DSN(devdb.Database), "SELECT n FROM kept"); got != "42" {
		t.Errorf("got %q after a restart", got)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	server, err := devdb.Start(t.Context(), devdb.Options{DataDir: t.TempDir(), Durable: true, MaxConnections: 33})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for setting, want := range map[string]string{
		"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
		"max_connections": "33", "listen_addresses": "", "TimeZone": "UTC", "server_encoding": "UTF8",
	} {
		if got := run(t, server.DSN("postgres"), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	fast := start(t, t.TempDir())
	if got := run(t, fast.DSN("postgres"), "SHOW fsync"); got != "off" {
		t.Errorf("fsync of a server for tests is %q", got)
	}
}

func TestKillAndRestart(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir())
	dsn := server.DSN(devdb.Database)
	run(t, dsn, "CREATE TABLE kept AS SELECT 42 AS n")
	// A client that stays attached, so that a backend is left when the postmaster dies.
	attached, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = attached.Close(context.WithoutCancel(t.Context())) }()
	for range 3 {
		done := server.Done()
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		<-done
		if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
			t.Errorf("a killed server answers, closing: %v", conn.Close(t.Context()))
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := run(t, dsn, "SELECT n FROM kept"); got != "42" {
			t.Errorf("got %q after a kill", got)
		}
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Errorf("killing twice: %v", err)
	}
	if err := server.Stop(); err != nil {
		t.Errorf("stopping a killed server: %v", err)
	}
}

func TestSecondServerOnTheSameData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	_, err := devdb.Start(t.Context(), devdb.Options{DataDir: dir})
	if err == nil || !strings.Contains(err.Error(), "already running, pid "+strconv.Itoa(os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if got := run(t, first.DSN(devdb.Database), "SELECT 1"); got != "1" {
		t.Errorf("the first server answers %q", got)
	}
}

func TestInterruptedCreation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unfinished := filepath.Join(dir, "creating-123")
	if err := os.MkdirAll(filepath.Join(unfinished, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(unfinished, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := devdb.Start(ctx, devdb.Options{DataDir: dir}); err == nil {
		t.Fatal("a start within 100 ms: the interruption tests nothing")
	}
	server := start(t, dir)
	if got := run(t, server.DSN(devdb.Database), "SELECT 1"); got != "1" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(unfinished); !os.IsNotExist(err) {
		t.Errorf("the unfinished folder is still there: %v", err)
	}
}

func TestStalePIDFile(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	start(t, other)
	dir := t.TempDir()
	server := start(t, dir)
	for name, content := range map[string]string{
		"of a dead process":    "999999999\n/x\n",
		"of something else":    strconv.Itoa(os.Getpid()) + "\n/x\n",
		"of init":              "1\n/x\n",
		"of another Postgres":  strconv.Itoa(pidOf(t, other)) + "\n/x\n",
		"cut off when written": "",
	} {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "cluster", "postmaster.pid"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		server = start(t, dir)
		if got := run(t, server.DSN(devdb.Database), "SELECT 1"); got != "1" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestDataOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "cluster"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cluster", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := devdb.Start(t.Context(), devdb.Options{DataDir: dir})
	if err == nil || !strings.Contains(err.Error(), "written by Postgres 9") {
		t.Errorf("got %v", err)
	}
}

func TestSocketFolderIsPrivateAndGoes(t *testing.T) {
	t.Parallel()
	server := start(t, t.TempDir())
	folder := run(t, server.DSN("postgres"), "SHOW unix_socket_directories")
	info, err := os.Stat(folder)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's folder has mode %v", info.Mode())
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("the socket's folder is left: %v", err)
	}
}

func TestPostgresIsInAGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	start(t, dir)
	group, err := syscall.Getpgid(pidOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if group == syscall.Getpgrp() {
		t.Error("Ctrl-C would reach Postgres")
	}
}
