package worker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

// receivers are endpoints of customers on one HTTP server, told apart by path. Requests below /hangs wait until release.
type receivers struct {
	*httptest.Server
	release func()

	mutex             sync.Mutex
	reached, inFlight map[string]int
}

func newReceivers(t testing.TB) *receivers {
	t.Helper()
	r := &receivers{reached: map[string]int{}, inFlight: map[string]int{}}
	released := make(chan struct{})
	r.release = sync.OnceFunc(func() { close(released) })
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		defer r.enter(request.URL.Path)()
		if strings.HasPrefix(request.URL.Path, "/hangs/") {
			<-released
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(func() {
		r.release()
		r.Close()
	})
	return r
}

func (r *receivers) enter(path string) (leave func()) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.reached[path]++
	r.inFlight[path]++
	return func() {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.inFlight[path]--
	}
}

func (r *receivers) count(prefix string, of func() map[string]int) int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	n := 0
	for path, count := range of() {
		if strings.HasPrefix(path, prefix) {
			n += count
		}
	}
	return n
}

// got returns how many requests came below a path.
func (r *receivers) got(prefix string) int {
	return r.count(prefix, func() map[string]int { return r.reached })
}

// hanging returns how many requests below a path wait.
func (r *receivers) hanging(prefix string) int {
	return r.count(prefix, func() map[string]int { return r.inFlight })
}

// posting makes a worker post to receivers over HTTP. An attempt ends only when its receiver answers, or its lease ends.
func posting(c *worker.Config) {
	c.WebhookSender = webhook.NewSender(webhook.Config{
		Policy: webhook.Policy{AllowLoopbackHTTP: true}, Timeout: 10 * time.Minute,
	})
}

// hostile makes organizations whose endpoints all hang, each with many events due.
func (h *house) hostile(t testing.TB, r *receivers, organizations, endpoints int) []tenant {
	t.Helper()
	tenants := make([]tenant, organizations)
	for i := range tenants {
		tenants[i] = h.tenant(t)
		for j := range endpoints {
			h.subscribe(t, tenants[i], fmt.Sprintf("%s/hangs/%s/%d", r.URL, tenants[i].id, j), "x")
		}
	}
	return tenants
}

// backlog makes n events due for every webhook of organizations.
func (h *house) backlog(t testing.TB, n int, tenants ...tenant) {
	t.Helper()
	ids := make([]uuid.UUID, len(tenants))
	for i, one := range tenants {
		ids[i] = one.id
	}
	h.exec(t, `INSERT INTO deliveries (id, organization_id, webhook_id, event_id, event_type, payload, due_at, created_at)
		SELECT uuid_beside($4), organization_id, id, uuid_beside($4), 'x', '{}', $3, $3
		FROM webhooks, generate_series(1, $2) WHERE organization_id = ANY ($1)`, ids, n, h.clock.Now(), newID(t))
	h.exec(t, "SELECT pg_notify('deliveries', '')")
}

func TestHangingEndpointsDelayNoOtherOrganization(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ organizations, endpoints int }{
		"one organization with 100 endpoints": {1, 100},
		"two organizations with 20 endpoints": {2, 20},
		"100 organizations with an endpoint":  {100, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, r := newHouse(t), newReceivers(t)
			known, unknown := h.tenant(t), h.tenant(t)
			h.subscribe(t, known, r.URL+"/answers/known", "x")
			start(t, h.newWorker(t, posting))
			t.Cleanup(r.release)
			h.backlog(t, 1, known)
			eventually(t, "an endpoint has answered", func() bool { return r.got("/answers/known") == 1 })
			h.backlog(t, 20, h.hostile(t, r, c.organizations, c.endpoints)...)
			eventually(t, "all of the others hang", func() bool { return r.hanging("/hangs/") >= c.organizations*c.endpoints })
			h.subscribe(t, unknown, r.URL+"/answers/unknown", "x")
			h.backlog(t, 100, known, unknown)
			eventually(t, "those that answer have all of theirs", func() bool { return r.got("/answers/") == 201 })
		})
	}
}

// The poll interval is an hour: only the end of a delivery makes the worker look for the next one.
func TestEndOfADeliveryLetsTheNextBegin(t *testing.T) {
	t.Parallel()
	h, r := newHouse(t), newReceivers(t)
	o := h.tenant(t)
	h.subscribe(t, o, r.URL+"/answers", "x")
	h.backlog(t, 300, o)
	start(t, h.newWorker(t, posting, func(c *worker.Config) { c.PollInterval = time.Hour }))
	eventually(t, "all are delivered", func() bool { return r.got("/answers") == 300 })
}

// Endpoints that answered quickly for a while and then hang have many deliveries in flight at once.
func TestQuickEndpointsThatBeginToHangLeaveSlotsFree(t *testing.T) {
	t.Parallel()
	h, r := newHouse(t), newReceivers(t)
	others := h.hostile(t, r, 8, 5)
	o := h.tenant(t)
	h.subscribe(t, o, r.URL+"/answers", "x")
	h.exec(t, "UPDATE webhooks SET quick = true, concurrency = 64")
	h.backlog(t, 100, others...)
	start(t, h.newWorker(t, posting))
	t.Cleanup(r.release)
	eventually(t, "the others hang", func() bool { return r.hanging("/hangs/") >= 200 })
	h.backlog(t, 100, o)
	eventually(t, "the one that answers has all of its deliveries", func() bool { return r.got("/answers") == 100 })
	for _, one := range others {
		if n := r.hanging("/hangs/" + one.id.String()); n > 64 {
			t.Errorf("an organization among nine has %d in flight", n)
		}
	}
}

// An organization alone leaves half of the slots free.
func TestOrganizationAloneLeavesHalfOfTheSlotsFree(t *testing.T) {
	t.Parallel()
	h, r := newHouse(t), newReceivers(t)
	others := h.hostile(t, r, 1, 20)
	h.exec(t, "UPDATE webhooks SET quick = true, concurrency = 64")
	h.backlog(t, 100, others...)
	start(t, h.newWorker(t, posting, func(c *worker.Config) { c.PollInterval = 10 * time.Millisecond }))
	t.Cleanup(r.release)
	eventually(t, "it has 256 in flight", func() bool { return r.hanging("/hangs/") == 256 })
	leased := h.count(t, "SELECT count(*) FROM deliveries WHERE leased_until IS NOT NULL")
	if leased != 256 {
		t.Errorf("it has %d in flight", leased)
	}
}

func TestConcurrencyFollowsTheEndpoint(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	e := h.withEndpoints(t)
	o := h.tenant(t)
	hook := h.subscribe(t, o, "https://a.example", "x")
	h.backlog(t, 400, o)
	took := func(d time.Duration, failure string) func(context.Context, webhook.Delivery) webhook.Result {
		return func(context.Context, webhook.Delivery) webhook.Result {
			return webhook.Result{Duration: d, Failure: failure}
		}
	}
	for _, step := range []struct {
		answer       func(context.Context, webhook.Delivery) webhook.Result
		claimed, now int32
		quick        bool
	}{
		{took(2*time.Second, ""), 8, 8, false},
		{took(time.Millisecond, ""), 8, 16, true},
		{took(time.Millisecond, ""), 16, 32, true},
		{took(time.Millisecond, ""), 32, 64, true},
		{took(time.Millisecond, ""), 64, 64, true},
		{took(14*time.Second, ""), 64, 1, false},
		{took(14*time.Second, ""), 1, 1, false},
		{took(time.Millisecond, ""), 1, 2, true},
		{took(time.Millisecond, "no"), 2, 1, true},
		{took(time.Millisecond, ""), 1, 2, true},
		{took(2*time.Second, ""), 2, 4, false},
	} {
		e.set(step.answer)
		h.pass(t, int(step.claimed))
		if row := h.webhook(t, o, hook); row.Concurrency != step.now || row.Quick != step.quick {
			t.Errorf("after %+v it is %d and quick %t", step, row.Concurrency, row.Quick)
		}
	}
	// Nothing is known about the endpoint at another URL.
	url := "https://b.example"
	row, err := h.store.Queries().WebhookUpdate(t.Context(), db.WebhookUpdateParams{OrganizationID: o.id, ID: hook, URL: &url, Now: h.clock.Now()})
	if err != nil || row.Concurrency != 8 || row.Quick {
		t.Errorf("with another URL it is %d and quick %t: %v", row.Concurrency, row.Quick, err)
	}
}
