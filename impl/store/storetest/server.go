package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/schema"
)

const externalServer = "MAILSTACK_TEST_DATABASE_URL"

// templateLock is the advisory lock under which a template is made, "mailtest" in ASCII: test binaries
// share an external server.
const templateLock = 0x6d61696c74657374

// shared is the server of this test binary: the one thing that tests share which only know their own T.
var shared testServer

type testServer struct {
	once     sync.Once
	admin    string // URL of a database that is not copied
	template string
	external bool
	dir      string
	server   *devdb.Server
	err      error
}

// use starts the server the first time. It returns the URL to create databases at and the template's name.
func (s *testServer) use(ctx context.Context) (admin, template string, err error) {
	s.once.Do(func() {
		if s.err = s.start(ctx); s.err == nil {
			s.template, s.err = makeTemplate(ctx, s.admin)
		}
	})
	return s.admin, s.template, s.err
}

func (s *testServer) start(ctx context.Context) error {
	if s.admin, s.external = os.LookupEnv(externalServer); s.external {
		if parsed, err := url.Parse(s.admin); err != nil || parsed.Scheme == "" {
			return errors.New(externalServer + " must be a URL, postgres://…")
		}
		return nil
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "storetest-"); err != nil {
		return fmt.Errorf("creating a data folder: %w", err)
	}
	s.server, err = devdb.Start(ctx, devdb.Options{DataDir: s.dir, MaxConnections: 300})
	if err != nil {
		return err
	}
	s.admin = s.server.DSN("postgres")
	return nil
}

func (s *testServer) stop() error {
	var failures []error
	if s.server != nil {
		failures = append(failures, s.server.Stop())
	}
	if s.dir != "" {
		failures = append(failures, os.RemoveAll(s.dir))
	}
	return errors.Join(failures...)
}

// makeTemplate returns the name of a migrated database, made when it is missing. It is named after the
// migrations and the month of its partitions.
func makeTemplate(ctx context.Context, admin string) (name string, err error) {
	name, err = templateName(time.Now())
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return "", fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return "", fmt.Errorf("waiting for another test binary: %w", err)
	}
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
		return name, err
	}
	// It gets its name when it is whole.
	unfinished := name + "_unfinished"
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + quote(unfinished) + " WITH (FORCE)",
		"CREATE DATABASE " + quote(unfinished),
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return "", fmt.Errorf("creating the template: %w", err)
		}
	}
	if err := store.Migrate(ctx, withDatabase(admin, unfinished), nil); err != nil {
		return "", err
	}
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+quote(unfinished)+" RENAME TO "+quote(name)); err != nil {
		return "", fmt.Errorf("naming the template: %w", err)
	}
	return name, nil
}

func templateName(now time.Time) (string, error) {
	files, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		return "", fmt.Errorf("listing the migrations: %w", err)
	}
	sum := sha256.New()
	for _, file := range files {
		content, err := schema.Files.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading a migration: %w", err)
		}
		// A hash takes whatever it is given.
		_, _ = fmt.Fprintf(sum, "%s %d %s", file, len(content), content)
	}
	return fmt.Sprintf("mailstack_template_%s_%x", now.UTC().Format("200601"), sum.Sum(nil)[:6]), nil
}
