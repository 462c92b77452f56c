package worker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

// endpoints returns the result that a test sets for each attempt, and records the attempts.
type endpoints struct {
	mu       sync.Mutex
	attempts []webhook.Delivery
	answer   func(ctx context.Context, one webhook.Delivery) webhook.Result
}

func (e *endpoints) Send(ctx context.Context, one webhook.Delivery) webhook.Result {
	e.mu.Lock()
	e.attempts = append(e.attempts, one)
	answer := e.answer
	e.mu.Unlock()
	if answer == nil {
		return webhook.Result{Status: 204}
	}
	return answer(ctx, one)
}

func (e *endpoints) to(url string) []webhook.Delivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	var found []webhook.Delivery
	for _, one := range e.attempts {
		if one.URL == url {
			found = append(found, one)
		}
	}
	return found
}

func (e *endpoints) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.attempts)
}

func (e *endpoints) set(answer func(ctx context.Context, one webhook.Delivery) webhook.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func failing(status int, retryAfter time.Duration) func(context.Context, webhook.Delivery) webhook.Result {
	return func(context.Context, webhook.Delivery) webhook.Result {
		return webhook.Result{Status: status, Failure: fmt.Sprint("The endpoint answered ", status, "."), RetryAfter: retryAfter, Excerpt: "no"}
	}
}

// withEndpoints makes the worker of a house post to endpoints.
func (h *house) withEndpoints(t testing.TB) *endpoints {
	t.Helper()
	e := &endpoints{}
	h.worker = h.newWorker(t, func(c *worker.Config) { c.WebhookSender = e })
	return e
}

// subscribe creates a webhook.
func (h *house) subscribe(t testing.TB, o tenant, url string, events ...string) uuid.UUID {
	t.Helper()
	id := newID(t)
	sealed, err := h.sealer.Seal([]byte("key of "+url), webhook.SecretAAD(id))
	must(t, err)
	_, err = h.store.Queries().WebhookInsert(t.Context(), db.WebhookInsertParams{
		ID: id, OrganizationID: o.id, URL: url, Events: events, SealedSecret: sealed, Now: h.clock.Now(),
	})
	must(t, err)
	return id
}

func (h *house) webhook(t testing.TB, o tenant, id uuid.UUID) db.Webhook {
	t.Helper()
	row, err := h.store.Queries().WebhookGet(t.Context(), db.WebhookGetParams{OrganizationID: o.id, ID: id})
	must(t, err)
	return row
}

func (h *house) deliveries(t testing.TB, o tenant, webhookID uuid.UUID) []db.Delivery {
	t.Helper()
	rows, err := h.store.Queries().DeliveryList(t.Context(), db.DeliveryListParams{
		OrganizationID: o.id, WebhookID: webhookID, BeforeID: uuid.Max, MaxRows: 1000,
	})
	must(t, err)
	return rows
}

// enqueue creates an event for every webhook that subscribes to "x".
func (h *house) enqueue(t testing.TB, o tenant) uuid.UUID {
	t.Helper()
	id := newID(t)
	must(t, h.store.Queries().DeliveryInsertSubscribed(t.Context(), db.DeliveryInsertSubscribedParams{
		EventID: id, OrganizationID: o.id, EventType: "x", Payload: `{"id":"` + id.String() + `"}`, Now: h.clock.Now(),
	}))
	h.store.NotifySoon(store.DeliveriesChannel)
	return id
}
