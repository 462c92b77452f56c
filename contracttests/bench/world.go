package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
)

const (
	singlePath = "/v1/emails"
	batchPath  = "/v1/emails/batch"
	perBatch   = 100
	// plenty is an allowance that no run uses up.
	plenty = 1 << 40
	warmUp = time.Second
)

// world is the state that all measurements share.
type world struct {
	set     settings
	harness *harness.Harness
	store   *store.Store
	tenant  harness.Tenant
	html    string
	report  *report
}

func newWorld(ctx context.Context, set settings) (_ *world, err error) {
	ground, err := harness.New(ctx, 200)
	if err != nil {
		return nil, err
	}
	w := &world{set: set, harness: ground, html: "<p>" + strings.Repeat("Hello there. ", 78) + "</p>", report: &report{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.store, err = ground.Database(ctx, devdb.Database); err != nil {
		return nil, err
	}
	if w.tenant, err = harness.NewTenant(ctx, w.store, plenty); err != nil {
		return nil, err
	}
	return w, w.durability(ctx)
}

func (w *world) close() error {
	if w.store != nil {
		w.store.Close()
	}
	return w.harness.Close()
}

// durability records the durability settings of Postgres.
func (w *world) durability(ctx context.Context) error {
	for _, name := range []string{"server_version", "fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := w.store.Pool().QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value); err != nil {
			return fmt.Errorf("ask Postgres for %s: %w", name, err)
		}
		w.report.fact(name, value)
	}
	return nil
}

// api is a running server with its addresses.
type api struct {
	*harness.Process
	address, admin string
}

// serve starts a server with the given settings besides the ones every measured server has. The request limit per key
// is off, because it would bound the figures.
func (w *world) serve(ctx context.Context, name, database string, environment ...string) (api, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return api{}, err
	}
	admin, err := harness.FreeAddress(ctx)
	if err != nil {
		return api{}, err
	}
	environment = append([]string{
		"MAILSTACK_ADDR=" + address, "MAILSTACK_ADMIN_ADDR=" + admin, "MAILSTACK_RATE_LIMIT=0", "MAILSTACK_LOG_LEVEL=warn",
	}, environment...)
	process, err := w.harness.Start(ctx, name, database, environment, "serve", "--no-worker")
	if err != nil {
		return api{}, err
	}
	return api{process, address, admin}, process.Await(ctx, "http://"+address+"/readyz")
}

// groupsOfOne gives every request a transaction of its own, 16 of them at once, as in a naive server.
func groupsOfOne() []string {
	return []string{"MAILSTACK_ACCEPT_GROUP=1", "MAILSTACK_ACCEPT_TRANSACTIONS=16"}
}

// serveStub starts the server that writes nothing to the database.
func (w *world) serveStub(ctx context.Context) (api, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return api{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return api{}, fmt.Errorf("find this program: %w", err)
	}
	process, err := w.harness.StartProgram(ctx, self, "stub", devdb.Database, nil, "-stub", address)
	if err != nil {
		return api{}, err
	}
	return api{Process: process, address: address}, process.Await(ctx, "http://"+address+"/readyz")
}

// single appends the body of the numbered request: 1 KB of HTML, with a different recipient each time.
func (w *world) single(to []byte, number int) []byte {
	to = append(to, `{"from":"hello@`+w.tenant.Domain+`","to":"user`...)
	to = strconv.AppendInt(to, int64(number), 10)
	return append(to, `@example.com","subject":"Welcome","html":"`+w.html+`"}`...)
}

func (w *world) batch(to []byte, number int) []byte {
	to = append(to, `{"emails":[`...)
	for i := range perBatch {
		if i > 0 {
			to = append(to, ',')
		}
		to = w.single(to, number*perBatch+i)
	}
	return append(to, "]}"...)
}

// drive loads a server with requests that must all be accepted.
func (w *world) drive(ctx context.Context, at api, connections int, path string, next func([]byte, int) []byte) (harness.Load, error) {
	request := harness.Request{Path: path, Key: w.tenant.Key}
	if _, err := harness.Drive(ctx, at.address, connections, warmUp, request, next); err != nil {
		return harness.Load{}, err
	}
	load, err := harness.Drive(ctx, at.address, connections, w.set.each, request, next)
	if err == nil && load.Refused > 0 {
		return load, fmt.Errorf("%s refused %d requests", at.Name, load.Refused)
	}
	return load, err
}

// file writes a file into the folder of the run.
func (w *world) file(name, content string) (string, error) {
	path := filepath.Join(w.harness.Folder, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}
