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

// templateLock is the key of the advisory lock under which a template is made, "mailtest" in ASCII: test binaries share
// an external server.
const templateLock = 0x6d61696c74657374

// shared is the server of this test binary. It is global because a test knows only its own T.
var shared testServer //nolint:gochecknoglobals // TestMain and the tests have nothing else in common

type testServer struct {
	once     sync.Once
	admin    string // URL of a database that is not copied
	template string
	strategy string // option of CREATE DATABASE
	external bool
	dir      string
	server   *devdb.Server
	err      error
}

// use starts the server and makes the template on its first call.
func (s *testServer) use(ctx context.Context) error {
	s.once.Do(func() {
		if s.err = s.start(ctx); s.err == nil {
			s.err = s.prepare(ctx)
		}
	})
	return s.err
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

// prepare reads the version of the server and makes the template if it is missing.
func (s *testServer) prepare(ctx context.Context) (err error) {
	if s.template, err = templateName(time.Now()); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, s.admin)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return fmt.Errorf("waiting for another test binary: %w", err)
	}
	var version int
	var exists bool
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int,
		EXISTS (SELECT FROM pg_database WHERE datname = $1)`, s.template).Scan(&version, &exists)
	if err != nil {
		return fmt.Errorf("looking for the template: %w", err)
	}
	if version >= 150000 {
		// Older servers have no other strategy. Without fsync it is three times as fast as the default.
		s.strategy = " STRATEGY FILE_COPY"
	}
	if exists {
		return nil
	}
	return s.makeTemplate(ctx, conn)
}

// makeTemplate creates a migrated database, and renames it once it is complete.
func (s *testServer) makeTemplate(ctx context.Context, conn *pgx.Conn) error {
	unfinished := s.template + "_unfinished"
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + quote(unfinished) + " WITH (FORCE)",
		"CREATE DATABASE " + quote(unfinished) + " TEMPLATE template0",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("creating the template: %w", err)
		}
	}
	if err := store.Migrate(ctx, withDatabase(s.admin, unfinished), nil); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+quote(unfinished)+" RENAME TO "+quote(s.template)); err != nil {
		return fmt.Errorf("naming the template: %w", err)
	}
	return nil
}

// templateName returns a name that changes with the migrations, and with the month that the partitions are made for.
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
		// Writing to a hash never fails.
		_, _ = fmt.Fprintf(sum, "%s %d %s", file, len(content), content)
	}
	return fmt.Sprintf("mailstack_template_%s_%x", now.UTC().Format("200601"), sum.Sum(nil)[:6]), nil
}
