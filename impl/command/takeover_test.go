package command_test

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestTheWorkOfAKilledWorkerIsTakenOver: kill -9 strikes a worker while it has claimed a message that it has not started,
// while another message may be at SES, and while a webhook is called. The next worker takes over the first and the last at
// once, and leaves the second to its lease.
func TestTheWorkOfAKilledWorkerIsTakenOver(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	p.environment = append(p.environment, "MAILSTACK_WEBHOOK_PREFIXES=127.0.0.0/8")
	_, c := p.serve(t, "--no-worker")
	s := storetest.Open(t, p.database)
	dying := launch(t, p.environment, "worker")
	p.verify(t, c, "acme.example")
	e := newEndpoint(t)
	e.test(t, c)

	// One that is at SES, which does not answer.
	p.simulator.SetFaults(sessim.Faults{Hang: -1})
	started := c.send(t, "hello@acme.example")
	eventually(t, "a message is started", func() bool {
		return rows(t, s, "SELECT count(*) FROM sends WHERE email_id = $1 AND leased_until IS NOT NULL", started) == 1 &&
			rows(t, s, "SELECT count(*) FROM unstarted_sends") == 0
	})
	release := holdStarts(t, s)
	defer release()
	unstarted := c.send(t, "hello@acme.example")
	eventually(t, "a message is claimed and not started", func() bool {
		return rows(t, s, "SELECT count(*) FROM unstarted_sends WHERE $1::uuid = ANY (email_ids)", unstarted) == 1
	})
	eventually(t, "the webhook is called", func() bool { return e.calls.Load() > 0 })
	dying.kill()
	called := e.calls.Load()
	p.simulator.ClearFaults()

	heir := launch(t, p.environment, "worker")
	if n := heir.logged("took over the work of a worker that ended", "messages"); n != "1" {
		t.Errorf("it took over %s messages, want the one that was not started", n)
	}
	release()
	c.awaitSent(t, unstarted)
	eventually(t, "the webhook is called again", func() bool { return e.calls.Load() > called })
	if n := rows(t, s, "SELECT count(*) FROM sends WHERE email_id = $1 AND leased_until IS NOT NULL AND attempt = 1", started); n != 1 {
		t.Error("a message that may be at SES did not stay leased")
	}
	for _, m := range p.simulator.Messages() {
		if m.MessageID != unstarted {
			t.Errorf("SES has %s, which was started and not repeated", m.MessageID)
		}
	}
	heir.kill()
}

func rows(t *testing.T, s *store.Store, query string, args ...any) (n int) {
	t.Helper()
	if err := s.Pool().QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// holdStarts makes workers wait before they start what they claimed, until it is released. A worker that is taken over is gone
// by then.
func holdStarts(t *testing.T, s *store.Store) (release func()) {
	t.Helper()
	conn, err := s.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"SELECT pg_advisory_lock(1)",
		`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF EXISTS (SELECT FROM workers WHERE id = OLD.worker_id) THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;
				RETURN OLD;
			END $$`,
		"CREATE TRIGGER hold BEFORE DELETE ON unstarted_sends FOR EACH ROW EXECUTE FUNCTION hold()",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	var released atomic.Bool
	return func() {
		if released.Swap(true) {
			return
		}
		if _, err := conn.Exec(t.Context(), "SELECT pg_advisory_unlock(1)"); err != nil {
			t.Error(err)
		}
		conn.Release()
	}
}

// endpoint is a webhook that takes connections and says nothing.
type endpoint struct {
	listener net.Listener
	calls    atomic.Int32
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{listener: listener}
	var accepting sync.WaitGroup
	var held []net.Conn
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			held = append(held, conn)
			e.calls.Add(1)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
		for _, conn := range held {
			_ = conn.Close()
		}
	})
	return e
}

// test registers the endpoint and has an event sent to it.
func (e *endpoint) test(t *testing.T, c client) {
	t.Helper()
	var webhook struct {
		ID string `json:"id"`
	}
	body := `{"url":"https://` + e.listener.Addr().String() + `/","events":["email.sent"]}`
	if status := c.do(t, http.MethodPost, "/v1/webhooks", body, &webhook); status != http.StatusCreated {
		t.Fatalf("register a webhook: %d", status)
	}
	if status := c.do(t, http.MethodPost, "/v1/webhooks/"+webhook.ID+"/test", "", nil); status >= http.StatusBadRequest {
		t.Fatalf("test a webhook: %d", status)
	}
}
