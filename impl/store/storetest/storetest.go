// Package storetest gives tests a real Postgres: a migrated database of its own for each test function, cloned from a
// template. A test binary runs one private server, which the first test that needs a database starts; with
// MAILSTACK_TEST_DATABASE_URL it uses the server at that URL instead.
//
//   - storetest.go: databases for tests
//   - server.go: the server and the template
//
// A package with such tests has:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		s := storetest.New(t)
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
)

// setupTimeout bounds setup and cleanup of a test, on a machine that is busy with other tests.
const setupTimeout = 10 * time.Minute

// maxConns is the pool size per test function: many run at once on one server.
const maxConns = 8

// Main runs the tests and then stops the server. It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping the Postgres of the tests:", err)
		return 1
	}
	return code
}

// New returns a store on a new, migrated database. Both are removed at the end of the test.
func New(t testing.TB) *store.Store {
	t.Helper()
	return Open(t, URL(t))
}

// Open returns another store on a database; it is closed at the end of the test.
func Open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Config{URL: url, MaxConns: maxConns, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// URL returns the URL of a new, migrated database, which is dropped at the end of the test. On the server of
// MAILSTACK_TEST_DATABASE_URL the database of a failed test is kept.
func URL(t testing.TB) string {
	t.Helper()
	return create(t, true)
}

// EmptyURL returns the URL of a new database without a schema, which is dropped at the end of the test.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return create(t, false)
}

// Server starts another private Postgres with a migrated database, devdb.Database, for tests that stop and restart
// their server.
func Server(t testing.TB) *devdb.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	server, err := devdb.Start(ctx, devdb.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := store.Migrate(ctx, server.DSN(devdb.Database), nil); err != nil {
		t.Fatal(err)
	}
	return server
}

func create(t testing.TB, migrated bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	if err := shared.use(ctx); err != nil {
		t.Fatal("a Postgres for the test: ", err)
	}
	admin, template := shared.admin, "template0"
	if migrated {
		template = shared.template
	}
	name := "test_" + strings.ToLower(rand.Text())
	if err := execute(ctx, admin, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+shared.strategy); err != nil {
		t.Fatal("a database for the test: ", err)
	}
	created := withDatabase(admin, name)
	t.Cleanup(func() {
		if shared.external && t.Failed() {
			t.Logf("kept the database of this test: %s", created)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		if err := execute(ctx, admin, "DROP DATABASE "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Error("dropping the database of the test: ", err)
		}
	})
	return created
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func execute(ctx context.Context, dsn, statement string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() {
		if closing := conn.Close(ctx); err == nil {
			err = closing
		}
	}()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// withDatabase returns the URL of another database on the same server.
func withDatabase(dsn, name string) string {
	parsed, err := url.Parse(dsn)
	if err != nil {
		// shared.use has parsed the URL before.
		panic(err)
	}
	parsed.Path = "/" + name
	query := parsed.Query()
	query.Del("dbname")
	parsed.RawQuery = query.Encode()
	return parsed.String()
}
