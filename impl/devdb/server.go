//go:build unix

package devdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/backoff"
)

const (
	// startLimit leaves time for the recovery after a crash.
	startLimit = 60 * time.Second
	// retryLimit is how long the shared memory of a killed Postgres may stay in use.
	retryLimit = 5 * time.Second
	stopLimit  = 15 * time.Second
)

// Server is a running Postgres.
type Server struct {
	cluster        *cluster
	name           string
	socket         string
	maxConnections int
	settings       []string
	log            *slog.Logger

	mu      sync.Mutex
	process *process
	closed  bool
}

// Start starts Postgres on a data folder, whose contents it creates the first time, and returns when Postgres accepts
// connections. A Postgres that an earlier, killed process left running on the folder is stopped first. Start fails if a
// living process uses the folder, and if the machine has no Postgres.
func Start(ctx context.Context, options Options) (*Server, error) {
	s := &Server{maxConnections: options.MaxConnections, settings: options.Settings, log: options.Log}
	if s.maxConnections == 0 {
		s.maxConnections = 100
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.cluster, err = openCluster(ctx, options.DataDir, options.Durable); err != nil {
		return nil, fmt.Errorf("starting Postgres: %w", err)
	}
	s.cluster.environment = options.Environment
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Postgres: %w", err), s.release())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) error {
	var err error
	if s.name, err = s.cluster.name(); err != nil {
		return err
	}
	if s.socket, err = s.cluster.socketFolder(); err != nil {
		return err
	}
	return s.launch(ctx)
}

// DSN returns the URL of a database of this server. It stays the same through Restart.
func (s *Server) DSN(database string) string {
	query := url.Values{"host": {s.socket}, "port": {"5432"}, "user": {superuser}, "sslmode": {"disable"}}
	return "postgres:///" + url.PathEscape(database) + "?" + query.Encode()
}

// Program returns the path of a program of the server's installation, such as pg_dump.
func (s *Server) Program(name string) string { return filepath.Join(s.cluster.bin, name) }

// Done returns a channel that is closed when the current Postgres process has ended, for any reason. Restart makes a
// new channel.
func (s *Server) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process.done
}

// Stop shuts Postgres down, cuts the remaining connections, and waits until it has ended. Stopping again does nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.shutDown(), s.release())
}

// Kill ends Postgres and all its connections as a crash would, and returns when none of its processes runs. Restart
// starts it again.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.process.signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing Postgres: %w", err)
	}
	<-s.process.done
	// Without this a busy backend could still finish its work.
	left, err := clusterProcesses(s.name, s.cluster.uid())
	if err != nil {
		return err
	}
	for _, process := range left {
		// It may have ended by now.
		_ = syscall.Kill(process.pid, syscall.SIGKILL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	gone, err := s.cluster.awaitGone(ctx, s.name, stopLimit)
	if err == nil && !gone {
		err = errors.New("killing Postgres: some of its processes do not end")
	}
	return err
}

// Restart stops Postgres if it runs, starts it again under the same DSN, and returns when it accepts connections.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("restarting Postgres: it was stopped for good")
	}
	if err := s.shutDown(); err != nil {
		return err
	}
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("restarting Postgres: %w", err)
	}
	return nil
}

func (s *Server) shutDown() error {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := s.process.signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping Postgres: %w", err)
		}
		if s.process.endsWithin(stopLimit) {
			return nil
		}
	}
	return errors.New("stopping Postgres: it does not end")
}

// release releases what outlives the process: the folder of the socket and the lock.
func (s *Server) release() error {
	var failures []error
	if s.socket != "" {
		failures = append(failures, os.RemoveAll(s.socket))
	}
	return errors.Join(append(failures, s.cluster.lock.Close())...)
}

// launch starts the process and waits until it accepts connections.
func (s *Server) launch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := s.cluster.clearOrphans(ctx, s.name, s.log); err != nil {
		return err
	}
	retryUntil := time.Now().Add(retryLimit)
	for {
		offset := s.cluster.logSize()
		err := s.launchOnce(ctx)
		if err == nil {
			return nil
		}
		said := s.cluster.logTail(offset)
		if !strings.Contains(said, "pre-existing shared memory block") || time.Now().After(retryUntil) {
			return fmt.Errorf("%w: %s", err, said)
		}
		if err := backoff.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func (s *Server) launchOnce(ctx context.Context) error {
	if err := s.clearSocket(); err != nil {
		return err
	}
	// Postgres outlives ctx, which bounds only the start.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(s.cluster.bin, "postgres"), s.arguments()...)
	closeFiles, err := s.cluster.attach(cmd, s.cluster.data())
	if err != nil {
		return err
	}
	started, err := spawn(cmd)
	closeFiles()
	if err != nil {
		return fmt.Errorf("running postgres: %w", err)
	}
	if err := s.awaitReady(ctx, started); err != nil {
		s.process = started
		return errors.Join(err, s.shutDown())
	}
	s.process = started
	return nil
}

func (s *Server) arguments() []string {
	settings := []string{
		"cluster_name=" + s.name,
		"max_connections=" + strconv.Itoa(s.maxConnections),
		"timezone=UTC",
		// There is no replica and no archive.
		"wal_level=minimal",
		"max_wal_senders=0",
		// Errors reach the caller; in the log they would show addresses.
		"log_min_messages=log",
		"log_min_error_statement=panic",
		"log_error_verbosity=terse",
		"log_checkpoints=off",
		"logging_collector=off",
	}
	if !s.cluster.durable {
		// Commits stay synchronous: without fsync that is cheap, and they outlive a kill of Postgres.
		settings = append(settings, "fsync=off", "full_page_writes=off")
	}
	settings = append(settings, s.settings...)
	args := []string{"-p", "5432", "-h", "", "-k", s.socket}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}

func (s *Server) clearSocket() error {
	for _, name := range []string{socketName, socketName + ".lock"} {
		if err := os.Remove(filepath.Join(s.socket, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing an old socket: %w", err)
		}
	}
	return nil
}

func (s *Server) awaitReady(ctx context.Context, started *process) error {
	for {
		err := s.ensureDatabase(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-started.done:
			return fmt.Errorf("postgres ended at once: %s", started.cmd.ProcessState)
		default:
		}
		if backoff.Sleep(ctx, 5*time.Millisecond) != nil {
			return fmt.Errorf("postgres does not accept connections: %w", err)
		}
	}
}

// ensureDatabase creates the database if it is missing. Its success proves that the server accepts connections.
func (s *Server) ensureDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	// A failed close loses nothing.
	defer func() { _ = conn.Close(ctx) }()
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", Database).Scan(&exists); err != nil {
		return fmt.Errorf("looking for the database: %w", err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{Database}.Sanitize()); err != nil {
		return fmt.Errorf("creating the database: %w", err)
	}
	return nil
}
