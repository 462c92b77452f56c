package contracttests

import (
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// freezer stands between a store and its Postgres, and stops passing data on when frozen. It acts as a network that
// drops packets, which no connection notices by itself.
type freezer struct {
	sync.RWMutex
	to string
}

// freezeBefore returns a freezer and the URL of the database through it.
func freezeBefore(t *testing.T, database string) (*freezer, string) {
	t.Helper()
	parsed, err := url.Parse(database)
	must(t, err)
	query := parsed.Query()
	port := query.Get("port")
	if port == "" {
		port = "5432"
	}
	name := ".s.PGSQL." + port
	f := &freezer{to: filepath.Join(query.Get("host"), name)}
	folder, err := os.MkdirTemp("", "frozen-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(folder)) })
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(folder, name))
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go f.accept(listener)
	query.Set("host", folder)
	parsed.RawQuery = query.Encode()
	return f, parsed.String()
}

func (f *freezer) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", f.to) //nolint:noctx // it ends with the listener
		if err != nil {
			_ = client.Close()
			continue
		}
		go f.pass(client, server)
		go f.pass(server, client)
	}
}

func (f *freezer) pass(from, to net.Conn) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		f.RLock()
		f.RUnlock() //nolint:staticcheck // waits while frozen
		if n > 0 {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// A database that neither responds nor closes its connections is treated as gone, and no request waits for it for
// ever.
func TestPostgresIsFrozen(t *testing.T) {
	t.Parallel()
	frozen, through := freezeBefore(t, storetest.URL(t))
	s := newStack(t, options{store: storetest.Open(t, through)})
	owner, from := s.newSender()
	hurried := owner.hurried()
	frozen.Lock()
	for _, op := range operations(t, secured) {
		start := time.Now()
		hurried.call(op.method, op.absent(), acceptable(op, from)).
			problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
		if elapsed := time.Since(start); elapsed > 10*time.Second {
			t.Errorf("%s: answered after %v", op.id, elapsed)
		}
	}
	frozen.Unlock()
	eventually(t, "the server works again", func() bool {
		return owner.call(http.MethodGet, "/v1/domains", nil).status == http.StatusOK
	})
	if usage := owner.usage(); usage.EmailsSent != 0 {
		t.Errorf("%d emails were counted", usage.EmailsSent)
	}
}

// A request past authentication has a time limit too: here it waits for a lock that another transaction holds.
func TestLockedRowIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	tx, err := s.store.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT 1 FROM organizations WHERE id = $1 FOR UPDATE", owner.id)
	must(t, err)
	owner.hurried().call(http.MethodPost, keysPath, newKey("late")).problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
	must(t, tx.Rollback(t.Context()))
	owner.createKey(newKey("late"))
}

// hurried returns the tenant at a server with a short request timeout.
func (t *tenant) hurried() *tenant {
	t.t.Helper()
	newID := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	server, err := rest.New(rest.Config{
		Spec: prepared(t.t), Store: t.store, Domains: t.domains, Now: t.clock.now, NewID: newID, Random: rand.Reader, Sealer: sealer(t.t),
		Intake: intake.New(intake.Config{Store: t.store, Now: t.clock.now, Random: rand.Reader}),
		Log:    slog.New(slog.DiscardHandler), RequestTimeout: 500 * time.Millisecond,
	})
	must(t.t, err)
	listener := httptest.NewServer(server)
	t.t.Cleanup(listener.Close)
	same := t.in(t.t)
	same.url = listener.URL
	return same
}
