package contracttests

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// recipient is an address of Amazon's mailbox simulator: mail to it counts as delivered and affects no sender's
// reputation (Amazon SES Developer Guide, "Sending test emails").
const recipient = "success@simulator.amazonses.com"

// scene holds what the rows of the table need to make their requests.
type scene struct {
	t      testing.TB
	server *stack
	ops    map[string]operation
	// key has every scope; from is an address that it may send from.
	key, from string
	// marker is the prefix of all names made here.
	marker string
	names  int
	// expires is the expiry of keys made here, in case they are not revoked.
	expires time.Time
	// emails counts the accepted emails.
	emails int
	// interrupted ends when the run should stop.
	interrupted context.Context

	message, domain, apiKey, suppression, template, webhook made
	// delivery is a delivery of webhook; disabled is another webhook, with a delivery of its own.
	delivery                   string
	disabled, disabledDelivery string
	// narrow maps scopes to keys with that scope alone; keyMaker has api-keys:write alone.
	narrow   map[string]string
	keyMaker string

	// The following fields need access to the database.
	broke, paused       struct{ key, from string }
	atLimit             struct{ key, from string }
	hooked              string // an organization that has as many webhooks as it may have
	heldKey             string // an idempotency key whose first request never ends
	suspended, stranger string
	hurried             *stack
	limited, cutOff     struct {
		server *stack
		key    string
	}
}

// made is a resource that was created here.
type made struct {
	id      string
	request any
	answer  answer
}

// request is the request of a row.
type request struct {
	id, key string
	// deliveryID is the id of a delivery, in paths that name one; empty means the same as id.
	deliveryID string
	// query follows the path; it includes its question mark.
	query   string
	body    any
	headers []string
}

// newScene prepares a scene through the API alone, on a server of which only a key is known.
func newScene(t testing.TB, server *stack, key, from string, expires time.Time) *scene {
	t.Helper()
	w := &scene{
		t: t, server: server, key: key, from: from, expires: expires, marker: "contract-" + uuid.NewString()[:8],
		ops: map[string]operation{}, narrow: map[string]string{}, interrupted: t.Context(),
	}
	for _, op := range operations(t) {
		w.ops[op.id] = op
	}
	return w
}

// furnish makes the resources that rows name.
func (w *scene) furnish() {
	w.t.Helper()
	w.message, w.domain, w.apiKey = w.create("sendEmail"), w.create("createDomain"), w.create("createApiKey")
	w.suppression = w.create("createSuppressions")
	w.template = w.create("createTemplate")
	for _, scope := range []string{"billing:read", "domains:read"} {
		w.narrow[scope] = w.createKey(scope)
	}
	w.keyMaker = w.createKey("api-keys:write")
	w.webhook = w.create("createWebhook")
	w.delivery = w.createBy("testWebhook", request{key: w.key, id: w.webhook.id}).id
	w.disabled = w.create("createWebhook").id
	w.disabledDelivery = w.createBy("testWebhook", request{key: w.key, id: w.disabled}).id
	w.ask(w.server, w.ops["updateWebhook"], request{key: w.key, id: w.disabled, body: `{"enabled":false}`}, 0).is(http.StatusOK)
}

// newInside returns a scene with access to the database. It has three more servers: one with a used-up rate limit,
// one that gives bodies little time, and one whose Postgres is gone.
func newInside(t testing.TB) *scene {
	t.Helper()
	s := newStack(t)
	owner, from := s.newSender()
	w := newScene(t, s, owner.key, from, s.clock.now().Add(time.Hour))
	w.furnish()

	broke, brokeFrom := s.newSender()
	broke.setBilling(false, nil, 0, 40)
	w.broke.key, w.broke.from = broke.key, brokeFrom
	paused, pausedFrom := s.newSender()
	paused.pauseSending()
	w.paused.key, w.paused.from = paused.key, pausedFrom
	atLimit, atLimitFrom := s.newSender()
	atLimit.setLimits(1, 0)
	atLimit.send(email(atLimitFrom, "to", recipient))
	w.atLimit.key, w.atLimit.from = atLimit.key, atLimitFrom
	w.heldKey = w.name()
	owner.holdKey(w.heldKey)
	hooked := s.newTenant()
	for range 20 {
		hooked.createWebhook("https://webhooks.example", "email.sent")
	}
	w.hooked = hooked.key
	suspended := s.newTenant()
	suspended.suspend()
	w.suspended, w.stranger = suspended.key, s.newTenant().key

	w.limited.server = newStack(t, options{requestsPerSecond: 0.001})
	w.limited.key = w.limited.server.newTenant().key
	w.limited.server.exchange(http.MethodGet, "/v1/domains", w.limited.key, nil).is(http.StatusOK)

	w.hurried = newStack(t, options{store: s.store, pace: httpserver.BodyPace{Grace: 10 * time.Millisecond}})

	postgres := storetest.Server(t)
	w.cutOff.server = newStack(t, options{store: storetest.Open(t, postgres.DSN(devdb.Database))})
	w.cutOff.key = w.cutOff.server.newTenant().key
	must(t, postgres.Kill())
	return w
}

// name returns a name that was not used before.
func (w *scene) name() string {
	w.names++
	return fmt.Sprintf("%s-%d", w.marker, w.names)
}

// succeeding returns the request with which an operation succeeds.
func (w *scene) succeeding(op operation) request {
	r := request{}
	if op.secured {
		r.key = w.key
	}
	if named(op) {
		r.id = map[string]string{
			"emails": w.message.id, "domains": w.domain.id, "api-keys": w.apiKey.id, "suppressions": w.suppression.id,
			"templates": w.template.id, "webhooks": w.webhook.id,
		}[strings.Split(op.path, "/")[2]]
		r.deliveryID = w.delivery
	}
	switch op.id {
	case "sendEmail":
		r.body = email(w.from, "to", recipient)
	case "sendBatch":
		r.body = batchOf(email(w.from, "to", recipient), email("a@unverified.example", "to", recipient))
	case "createDomain":
		r.body = map[string]any{"domain": w.name() + ".example"}
	case "createApiKey":
		r.body = w.keyRequest("domains:read")
	case "createSuppressions":
		r.body = map[string]any{"addresses": []string{w.name() + "@example.com"}}
	case "createTemplate":
		r.body = newTemplate(w.name())
	case "createWebhook":
		r.body = map[string]any{"url": "https://webhooks.invalid/" + w.name(), "events": []string{"domain.failed"}}
	default:
		r.body = op.body()
	}
	return r
}

// another returns a request under the same headers that differs from the first: by a text of its body, or without a
// body by its resource.
func (w *scene) another(op operation, first request) request {
	w.t.Helper()
	if !withBody(op) {
		first.id = w.disabled
		return first
	}
	encoded, err := io.ReadAll(reader(w.t, first.body))
	must(w.t, err)
	first.body = append(encoded, ' ')
	return first
}

func (w *scene) keyRequest(scope string) map[string]any {
	return map[string]any{"name": w.name(), "scopes": []string{scope}, "expiresAt": w.expires.Format(time.RFC3339)}
}

// make makes the request of a row.
func (w *scene) make(promised row) answer {
	w.t.Helper()
	op, server := w.ops[promised.operation], w.server
	r := w.succeeding(op)
	switch promised.on {
	case limited:
		server, r.key = w.limited.server, w.limited.key
	case hurried:
		server = w.hurried
	case cutOff:
		server, r.key = w.cutOff.server, w.cutOff.key
	}
	if promised.change != nil {
		promised.change(w, &r)
	}
	return w.ask(server, op, r, promised.status)
}

// ask makes a request, and repeats it after a 429 unless that is the wanted status.
func (w *scene) ask(server *stack, op operation, r request, want int) answer {
	w.t.Helper()
	for {
		if w.interrupted.Err() != nil {
			w.t.Fatal("interrupted")
		}
		came := server.exchange(op.method, op.within(r.id, cmp.Or(r.deliveryID, r.id))+r.query, r.key, r.body, append([]string{"X-Request-Id", w.marker}, r.headers...)...)
		if came.status != http.StatusTooManyRequests || want == http.StatusTooManyRequests {
			w.count(op, came)
			return came
		}
		seconds, err := strconv.Atoi(came.header.Get("Retry-After"))
		must(w.t, err)
		w.wait(time.Duration(min(seconds, 60)) * time.Second)
	}
}

func (w *scene) wait(d time.Duration) {
	_ = backoff.Sleep(w.interrupted, d)
}

// count counts the accepted emails.
func (w *scene) count(op operation, came answer) {
	switch {
	case came.status != http.StatusAccepted:
	case op.id == "sendEmail":
		w.emails++
	case op.id == "sendBatch":
		w.emails += decoded[api.BatchResult](came).Accepted
	}
}

// create makes a resource.
func (w *scene) create(operation string) made {
	w.t.Helper()
	return w.createBy(operation, w.succeeding(w.ops[operation]))
}

func (w *scene) createBy(operation string, r request) made {
	w.t.Helper()
	came := w.ask(w.server, w.ops[operation], r, 0)
	if came.status >= http.StatusMultipleChoices {
		w.t.Fatalf("%s: answered %d: %s", operation, came.status, came.body)
	}
	found := made{request: r.body, answer: came}
	switch operation {
	case "createApiKey":
		found.id = decoded[api.CreatedAPIKey](came).Key.ID.String()
	case "createSuppressions":
		found.id = decoded[api.CreatedSuppressions](came).Data[0].Address
	case "sendBatch":
		found.id = decoded[api.BatchResult](came).Results[0].ID.String()
	default:
		found.id = decoded[struct{ ID uuid.UUID }](came).ID.String()
	}
	return found
}

// createKey makes a key with one scope and returns it.
func (w *scene) createKey(scope string) string {
	w.t.Helper()
	r := w.succeeding(w.ops["createApiKey"])
	r.body = w.keyRequest(scope)
	return decoded[api.CreatedAPIKey](w.createBy("createApiKey", r).answer).FullKey
}

// lesser returns a key with none of these scopes.
func (w *scene) lesser(scopes []string) string {
	for scope, key := range w.narrow {
		if !slices.Contains(scopes, scope) {
			return key
		}
	}
	w.t.Fatalf("no key is without %q", scopes)
	return ""
}
