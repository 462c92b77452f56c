// Package harness starts what the programs need that measure the server and break it: the binary, built from this tree,
// a private durable Postgres, and processes that are started, killed and stopped one by one. All of them use the
// loopback interface and a folder that Close removes.
//
//   - harness.go: the folder, the binary, Postgres and its databases
//   - process.go: a process
//   - program.go: the frame of a program that needs none of these but a signal and a limit
//   - standby.go: a copy of Postgres that follows it
//   - simulator.go: the control API of the simulated SES
//   - account.go: what is still queued or held by a worker; the logs of a run
//   - load.go: clients that send as fast as responses arrive
//   - signer.go: notifications signed as Amazon SNS does
//   - tenant.go: an organization with a key and a verified domain
package harness

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
)

// Harness holds what all processes of a run share.
type Harness struct {
	// Folder holds the logs of the processes and all other files. Close removes it.
	Folder string
	// Binary is mailstack, built from this tree.
	Binary   string
	Postgres *devdb.Server

	secretKey string
	options   devdb.Options
	standbys  []*devdb.Server
	processes []*Process
}

// New builds the binary and starts Postgres with full durability: fsync, full_page_writes and synchronous_commit
// are on.
func New(ctx context.Context, maxConnections int) (*Harness, error) {
	return NewWith(ctx, "", devdb.Options{MaxConnections: maxConnections})
}

// NewWith is New with a binary that [Build] made, if its path is not empty, and with further options for Postgres, of which
// DataDir and Durable are set here.
func NewWith(ctx context.Context, binary string, postgres devdb.Options) (_ *Harness, err error) {
	folder, err := os.MkdirTemp("", "mailstack-harness-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	h := &Harness{Folder: folder, Binary: binary, options: postgres}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.Close())
		}
	}()
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("make a secret key: %w", err)
	}
	h.secretKey = base64.StdEncoding.EncodeToString(key)
	if h.Binary == "" {
		h.Binary = filepath.Join(folder, "mailstack")
		if err := Build(ctx, h.Binary); err != nil {
			return nil, err
		}
	}
	postgres.DataDir, postgres.Durable = filepath.Join(folder, "postgres"), true
	if h.Postgres, err = devdb.Start(ctx, postgres); err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	return h, nil
}

// Build builds mailstack from this tree.
func Build(ctx context.Context, path string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "github.com/voostack/mailstack")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build mailstack: %w", err)
	}
	return nil
}

// Database migrates a database and opens it. It creates the database unless it is the default one.
func (h *Harness) Database(ctx context.Context, name string) (*store.Store, error) {
	if name != devdb.Database {
		admin, err := store.Open(ctx, store.Config{URL: h.Postgres.DSN(devdb.Database), MaxConns: 1})
		if err != nil {
			return nil, err
		}
		defer admin.Close()
		if _, err := admin.Pool().Exec(ctx, `CREATE DATABASE "`+name+`"`); err != nil {
			return nil, fmt.Errorf("create a database: %w", err)
		}
	}
	opened, err := store.Open(ctx, store.Config{URL: h.Postgres.DSN(name), Name: "harness", MaxConns: 4})
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx, h.Postgres.DSN(name), slog.New(slog.DiscardHandler)); err != nil {
		opened.Close()
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return opened, nil
}

// Close kills every process that still runs, stops Postgres and removes the folder.
func (h *Harness) Close() error {
	for _, one := range h.processes {
		one.Kill()
	}
	var failures []error
	if h.Postgres != nil {
		failures = append(failures, h.Postgres.Stop())
	}
	for _, one := range h.standbys {
		failures = append(failures, one.Stop())
	}
	return errors.Join(append(failures, os.RemoveAll(h.Folder))...)
}
