package worker_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/worker"
)

// crowd is an endpoint that answers when a number of requests wait at once, from then on at once.
type crowd struct {
	*httptest.Server
	size    int32
	waiting atomic.Int32
	got     atomic.Int32
	reached chan struct{}
	reach   func()
	answer  func(w http.ResponseWriter, nth int32)
}

func newCrowd(t *testing.T, size int32, answer func(w http.ResponseWriter, nth int32)) *crowd {
	t.Helper()
	c := &crowd{size: size, reached: make(chan struct{}), answer: answer}
	c.reach = sync.OnceFunc(func() { close(c.reached) })
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nth := c.got.Add(1)
		if c.waiting.Add(1) >= c.size {
			c.reach()
		}
		<-c.reached
		c.waiting.Add(-1)
		c.answer(w, nth)
	}))
	t.Cleanup(func() {
		c.reach()
		c.Close()
	})
	return c
}

// proven makes the webhooks of an organization what they are after a series of quick answers.
func (h *house) proven(t *testing.T, o tenant) {
	t.Helper()
	h.exec(t, "UPDATE webhooks SET quick = true, concurrency = 64 WHERE organization_id = $1", o.id)
}

// quiet reports whether no other session is at work. A claim that began before a change is over then, and the next one sees it.
func (h *house) quiet(t *testing.T) bool {
	t.Helper()
	return h.count(t, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'`) == 0
}

// Beside forty endpoints that hang, an endpoint that answers has as many deliveries in flight as alone.
func TestHealthyEndpointKeepsItsConcurrencyBesideHangingOnes(t *testing.T) {
	t.Parallel()
	h, r := newHouse(t), newReceivers(t)
	healthy := newCrowd(t, 64, func(w http.ResponseWriter, _ int32) { w.WriteHeader(http.StatusNoContent) })
	o := h.tenant(t)
	hook := h.subscribe(t, o, healthy.URL, "x")
	h.proven(t, o)
	start(t, h.newWorker(t, posting))
	t.Cleanup(r.release)
	h.backlog(t, 20, h.hostile(t, r, 2, 20)...)
	eventually(t, "the others hang", func() bool { return r.hanging("/hangs/") >= 40 })
	h.backlog(t, 200, o)
	eventually(t, "64 are in flight at once, and then all are delivered", func() bool {
		return h.count(t, "SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state = 'Delivered'", hook) == 200
	})
	if n := r.hanging("/hangs/"); n < 40 {
		t.Errorf("%d still hang", n)
	}
}

// An endpoint says in mid-stream that it wants no more: what is in flight ends, and nothing follows.
func TestEndpointThatIsGoneInMidStream(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	endpoint := newCrowd(t, 64, func(w http.ResponseWriter, nth int32) {
		if nth == 20 {
			w.WriteHeader(http.StatusGone)
		}
	})
	o := h.tenant(t)
	hook := h.subscribe(t, o, endpoint.URL, "x")
	h.proven(t, o)
	h.backlog(t, 400, o)
	start(t, h.newWorker(t, posting))
	eventually(t, "it is disabled, and nothing is in flight", func() bool {
		return !h.webhook(t, o, hook).Enabled && h.quiet(t) && h.count(t, "SELECT count(*) FROM deliveries WHERE leased_until IS NOT NULL") == 0
	})
	delivered := h.count(t, "SELECT count(*) FROM deliveries WHERE state = 'Delivered'")
	waiting := h.count(t, "SELECT count(*) FROM deliveries WHERE state = 'Pending' AND due_at IS NOT NULL")
	if got := int(endpoint.got.Load()); delivered != got-1 || waiting != 400-delivered {
		t.Errorf("it got %d, of which %d are delivered; %d wait", got, delivered, waiting)
	}
	if n := h.count(t, "SELECT count(*) FROM delivery_attempts"); n != delivered+1 {
		t.Errorf("%d attempts are logged", n)
	}
}

// An endpoint asks for a pause in mid-stream: what is in flight ends, and nothing follows before the pause is over.
func TestEndpointThatWantsAPauseInMidStream(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	endpoint := newCrowd(t, 64, func(w http.ResponseWriter, nth int32) {
		if nth == 20 {
			w.Header().Set("Retry-After", strconv.Itoa(int((10 * time.Minute).Seconds())))
			w.WriteHeader(http.StatusTooManyRequests)
		}
	})
	o := h.tenant(t)
	hook := h.subscribe(t, o, endpoint.URL, "x")
	h.proven(t, o)
	h.backlog(t, 400, o)
	start(t, h.newWorker(t, posting, func(c *worker.Config) { c.PollInterval = 5 * time.Millisecond }))
	eventually(t, "it is paused, and nothing is in flight", func() bool {
		return h.webhook(t, o, hook).PausedUntil != nil && h.quiet(t) && h.count(t, "SELECT count(*) FROM deliveries WHERE leased_until IS NOT NULL") == 0
	})
	if pause := h.webhook(t, o, hook).PausedUntil.Sub(h.clock.Now()); pause != 10*time.Minute {
		t.Errorf("it is paused for %v", pause)
	}
	before := endpoint.got.Load()
	h.clock.advance(10*time.Minute - time.Second)
	other := h.tenant(t)
	beside := newReceivers(t)
	h.subscribe(t, other, beside.URL+"/answers", "x")
	h.backlog(t, 50, other)
	eventually(t, "another endpoint gets its own", func() bool { return beside.got("/answers") == 50 })
	if after := endpoint.got.Load(); after != before {
		t.Errorf("during the pause it got %d", after-before)
	}
	h.clock.advance(time.Hour)
	eventually(t, "after the pause it gets the rest", func() bool {
		return h.count(t, "SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND state <> 'Delivered'", hook) == 0
	})
}
