package worker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/voostack/mailstack/impl/notifications"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

// holdSnapshot keeps every row that ends from being removed, as a backup does.
func holdSnapshot(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
}

// visits returns how many entries of the indexes of the two tables were visited by sessions that have ended.
func (h *house) visits(t *testing.T) int {
	t.Helper()
	return h.count(t, "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname IN ('deliveries', 'notifications')")
}

// Claims of events and of their deliveries do not walk, again and again, past the rows that have ended beside a snapshot.
func TestClaimsPassDeadRowsBySeldom(t *testing.T) {
	t.Parallel()
	const dead, events = 100_000, 40
	url := storetest.URL(t)
	h := newHouseOn(t, storetest.Open(t, url))
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "email.delivered")
	ids := h.accept(t, o, events)
	h.noSends(t)
	holdSnapshot(t, url)
	h.exec(t, `INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, leased_until, created_at)
		SELECT gen_random_uuid(), $1, $2, gen_random_uuid(), 'x', '{}', now() - n * interval '1 ms', now() + interval '50 s', now()
		FROM generate_series(1, $3::integer) AS n`, o.id, hook, dead)
	h.exec(t, "UPDATE deliveries SET due_at = NULL, leased_until = NULL, state = 'Delivered', finished_at = now()")
	h.exec(t, `INSERT INTO notifications (message_id, received_at, due_at)
		SELECT n, now(), now() - n * interval '1 ms' FROM generate_series(1, $1::integer) AS n`, dead)
	h.exec(t, "UPDATE notifications SET due_at = NULL")
	before, began := h.visits(t), time.Now()

	counted, err := store.Open(t.Context(), store.Config{URL: url, MaxConns: 8, Name: "counted"})
	must(t, err)
	t.Cleanup(counted.Close)
	e := &endpoints{}
	stop := start(t, h.newWorker(t, func(c *worker.Config) {
		c.Store, c.Now, c.WebhookSender = counted, time.Now, e
	}))
	inserter := notifications.NewInserter(counted, time.Now)
	for i, id := range ids {
		must(t, inserter.Insert(t.Context(), notifications.Notification{ID: uuid.NewString(), Body: deliveryEvent(id, firstRecipient)}))
		eventually(t, "it is delivered", func() bool { return e.count() > i })
	}
	// Each queue may be walked from its first entry once a second; the rest is for leases, which are walked at first, and for
	// what made the rows. Claims that begin at the first entry walk four times and once for each event.
	allowed := (int(time.Since(began).Seconds())+3)*2*dead + 5*dead
	stop()
	counted.Close()
	eventually(t, "the sessions have ended", func() bool {
		return h.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'counted'") == 0
	})
	visited := h.visits(t) - before
	t.Logf("claims of %d events and of their deliveries visited %d entries beside %d dead rows in each queue", events, visited, dead)
	if visited > allowed {
		t.Errorf("more than %d", allowed)
	}
}

// Two processes beside a snapshot miss no delivery that fails and is put back, nor a webhook that is new.
func TestFloorsOfTwoProcessesMissNothing(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	h := newHouseOn(t, storetest.Open(t, url))
	first, second := h.tenant(t), h.tenant(t)
	hook := h.subscribe(t, first, "https://a.example", "x")
	holdSnapshot(t, url)
	h.exec(t, `INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
		SELECT gen_random_uuid(), $1, $2, gen_random_uuid(), 'x', '{}', now() - n * interval '1 ms', now() FROM generate_series(1, 20000) AS n`, first.id, hook)
	h.exec(t, "UPDATE deliveries SET due_at = NULL, state = 'Delivered', finished_at = now()")
	e := &endpoints{}
	var tried sync.Map
	e.set(func(_ context.Context, one webhook.Delivery) webhook.Result {
		if _, again := tried.LoadOrStore(one.EventID, true); !again {
			return webhook.Result{Status: 503, Failure: "not yet", RetryAfter: time.Second}
		}
		return webhook.Result{Status: 204}
	})
	for range 2 {
		start(t, h.newWorker(t, func(c *worker.Config) { c.Now, c.WebhookSender = time.Now, e }))
	}
	h.clock.advance(time.Since(h.clock.Now()))
	for range 5 {
		h.enqueue(t, first)
	}
	h.subscribe(t, second, "https://b.example", "x")
	for range 5 {
		h.enqueue(t, second)
	}
	eventually(t, "all are delivered", func() bool {
		return h.count(t, "SELECT count(*) FROM deliveries WHERE event_type = 'x' AND state = 'Delivered' AND attempt = 2") == 10
	})
}
