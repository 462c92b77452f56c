package worker_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

// gate lets attempts begin, and end when it is opened.
type gate struct {
	waiting atomic.Int32
	opened  chan struct{}
	open    func()
}

func newGate() *gate {
	g := &gate{opened: make(chan struct{})}
	g.open = sync.OnceFunc(func() { close(g.opened) })
	return g
}

func (g *gate) pass(ctx context.Context) {
	g.waiting.Add(1)
	select {
	case <-g.opened:
	case <-ctx.Done():
	}
}

// hold keeps the results of attempts from being stored until release.
func (h *house) hold(t *testing.T) (release func()) {
	t.Helper()
	tx, err := h.store.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM deliveries WHERE leased_until IS NOT NULL FOR UPDATE")
	must(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return func() { must(t, tx.Rollback(t.Context())) }
}

// blocked reports whether a session waits for a lock.
func (h *house) blocked(t *testing.T) func() bool {
	return func() bool {
		return h.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	}
}

// inGroups answers the attempts of a worker so that the first result is being stored while all others arrive.
func (h *house) inGroups(t *testing.T, n int, answer func(one webhook.Delivery) webhook.Result) {
	t.Helper()
	e, first, others := &endpoints{}, newGate(), newGate()
	var came atomic.Int32
	var answered sync.WaitGroup
	answered.Add(n - 1)
	e.set(func(ctx context.Context, one webhook.Delivery) webhook.Result {
		if came.Add(1) == 1 {
			first.pass(ctx)
			return answer(one)
		}
		defer answered.Done()
		others.pass(ctx)
		return answer(one)
	})
	t.Cleanup(first.open)
	t.Cleanup(others.open)
	start(t, h.newWorker(t, func(c *worker.Config) { c.WebhookSender = e }))
	eventually(t, "all are under way", func() bool { return first.waiting.Load()+others.waiting.Load() == int32(n) })
	release := h.hold(t)
	first.open()
	eventually(t, "the first result waits", h.blocked(t))
	others.open()
	answered.Wait()
	release()
	eventually(t, "no lease is left", func() bool {
		return h.count(t, "SELECT count(*) FROM deliveries WHERE leased_until IS NOT NULL AND attempt = 1") == 0
	})
}

func TestResultsThatComeTogetherShareATransaction(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	h.exec(t, "UPDATE webhooks SET concurrency = 64, quick = true WHERE id = $1", hook)
	h.backlog(t, 40, o)
	h.inGroups(t, 40, func(webhook.Delivery) webhook.Result { return webhook.Result{Status: 204} })
	if n := h.count(t, "SELECT count(*) FROM deliveries WHERE state = 'Delivered'"); n != 40 {
		t.Errorf("%d are delivered", n)
	}
	if n := h.count(t, "SELECT count(*) FROM delivery_attempts WHERE status_code = 204 AND error IS NULL AND response_excerpt IS NULL"); n != 40 {
		t.Errorf("%d attempts are logged", n)
	}
	// The transaction that wrote a row last is its xmin. Some results may come after the lock is free.
	if n := h.count(t, "SELECT count(DISTINCT xmin::text) FROM deliveries"); n > 20 {
		t.Errorf("40 results took %d transactions", n)
	}
}

// A webhook learns from a group what it would have learned from its results one by one. Where they differ, the order in
// which they come decides whether the endpoint is failing.
func TestGroupSaysWhatItsResultsSay(t *testing.T) {
	t.Parallel()
	ok, slow := webhook.Result{Status: 200}, webhook.Result{Status: 200, Duration: 6 * time.Second}
	moderate := webhook.Result{Status: 200, Duration: 2 * time.Second}
	failed, gone := webhook.Result{Status: 500, Failure: "no"}, webhook.Result{Status: 410, Failure: "gone"}
	later := func(wait time.Duration) webhook.Result {
		return webhook.Result{Status: 429, Failure: "later", RetryAfter: wait}
	}
	yes, no := true, false
	for name, c := range map[string]struct {
		answers     []webhook.Result
		concurrency int32
		failing     *bool
		enabled     bool
		pause       time.Duration
	}{
		"all are quick":           {[]webhook.Result{ok, ok, ok}, 16, &no, true, 0},
		"all are moderately slow": {[]webhook.Result{moderate, moderate}, 8, &no, true, 0},
		"one is slow":             {[]webhook.Result{ok, slow, ok}, 1, &no, true, 0},
		"all failed":              {[]webhook.Result{failed, failed, failed}, 1, &yes, true, 0},
		"one is gone":             {[]webhook.Result{ok, gone, ok}, 1, nil, false, 0},
		"one wants a pause":       {[]webhook.Result{ok, later(time.Minute), ok}, 1, nil, true, time.Minute},
		"two want pauses":         {[]webhook.Result{later(time.Hour), later(time.Minute)}, 1, &yes, true, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			o := h.tenant(t)
			hook := h.subscribe(t, o, "https://a.example", "x")
			h.backlog(t, len(c.answers)+1, o)
			var next atomic.Int32
			h.inGroups(t, len(c.answers)+1, func(webhook.Delivery) webhook.Result {
				// The first of all is in a group of its own, and says what is known already.
				if i := next.Add(1); i > 1 {
					return c.answers[i-2]
				}
				return moderate
			})
			row := h.webhook(t, o, hook)
			if row.Concurrency != c.concurrency || row.Enabled != c.enabled || (row.PausedUntil != nil) != (c.pause > 0) {
				t.Errorf("it is %+v", row)
			}
			if row.PausedUntil != nil && !row.PausedUntil.Equal(h.clock.Now().Add(c.pause)) {
				t.Errorf("it is paused until %v", row.PausedUntil)
			}
			if c.failing != nil && (row.FailingSince != nil) != *c.failing {
				t.Errorf("it fails since %v", row.FailingSince)
			}
		})
	}
}

// A result that Postgres refuses keeps none of the others from being stored.
func TestResultThatIsRefusedIsLeftOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	h.exec(t, "UPDATE webhooks SET concurrency = 64 WHERE id = $1", hook)
	h.exec(t, "ALTER TABLE delivery_attempts ADD CHECK (status_code <> 299)")
	h.backlog(t, 20, o)
	var next atomic.Int32
	e := &endpoints{}
	e.set(func(context.Context, webhook.Delivery) webhook.Result {
		if next.Add(1) == 10 {
			return webhook.Result{Status: 299}
		}
		return webhook.Result{Status: 200}
	})
	start(t, h.newWorker(t, func(c *worker.Config) { c.WebhookSender = e }))
	eventually(t, "the others are delivered", func() bool { return h.count(t, "SELECT count(*) FROM deliveries WHERE state = 'Delivered'") == 19 })
	eventually(t, "the log tells of it", func() bool { return strings.Contains(h.log.String(), "could not be stored") })
	if n := h.count(t, "SELECT count(*) FROM deliveries WHERE leased_until IS NOT NULL"); n != 1 {
		t.Errorf("%d have a lease", n)
	}
}

// Two processes whose groups hold the same deliveries and webhooks in any order wait for each other, but not both ways.
func TestGroupsOfTwoProcesses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	o := h.tenant(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		h.subscribe(t, o, "https://"+name+".example", "x")
	}
	h.backlog(t, 200, o)
	var n atomic.Int32
	e := &endpoints{}
	e.set(func(context.Context, webhook.Delivery) webhook.Result {
		if n.Add(1)%3 == 0 {
			return webhook.Result{Status: 500, Failure: "no"}
		}
		return webhook.Result{Status: 200}
	})
	for range 2 {
		start(t, h.newWorker(t, func(c *worker.Config) { c.WebhookSender = e }))
	}
	eventually(t, "each was attempted once", func() bool {
		return h.count(t, "SELECT count(*) FROM deliveries WHERE attempt = 1 AND leased_until IS NULL") == 1000
	})
	var deadlocks int
	must(t, h.store.Pool().QueryRow(t.Context(), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&deadlocks))
	if deadlocks > 0 || e.count() != 1000 {
		t.Errorf("%d deadlocks, %d attempts", deadlocks, e.count())
	}
}
