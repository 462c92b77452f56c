package contracttests

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/gen/api"
)

// TestGeneratedRequests makes requests for every operation from the spec: valid ones, nearly valid ones, and ones
// with faults around their bodies. The way a request is made predicts its exact status, and every response is
// compared with the spec. A round is -rapid.checks requests, 100 by default.
func TestGeneratedRequests(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, op := range operations(t) {
		t.Run(op.id, func(t *testing.T) {
			t.Parallel()
			world := newWorld(s.in(t))
			parameters := slices.Concat(document(t).Paths.Find(op.path).Parameters, op.spec.Parameters)
			rounds := 1
			if op.limit > 0 {
				rounds = 3
			}
			for range rounds {
				rapid.Check(t, func(drawn *rapid.T) {
					if op.id == "testWebhook" || op.id == "replayWebhookDelivery" {
						s.clock.advance(time.Second) // an organization queues only so many deliveries a second
					}
					world.in(attempt{t, drawn}).request(drawn, op, parameters).send()
				})
			}
		})
	}
}

// attempt is one check of rapid as a testing.TB: a failed request is drawn again, smaller.
type attempt struct {
	testing.TB
	drawn *rapid.T
}

func (a attempt) Helper()                           { a.drawn.Helper() }
func (a attempt) Error(args ...any)                 { a.drawn.Error(args...) }
func (a attempt) Errorf(format string, args ...any) { a.drawn.Errorf(format, args...) }
func (a attempt) Fatal(args ...any)                 { a.drawn.Fatal(args...) }
func (a attempt) Fatalf(format string, args ...any) { a.drawn.Fatalf(format, args...) }

// generated is a request in the making.
type generated struct {
	world  *world
	drawn  *rapid.T
	op     operation
	path   string
	header http.Header
	body   *string
	// query is nil for operations without query parameters.
	query url.Values
	// wrong holds the statuses for everything that is wrong with the request, why the reasons.
	wrong []int
	why   []string
	// items holds the expected status of each item of a list whose items are judged one by one.
	items []api.SendStatus
}

func (w *world) request(drawn *rapid.T, op operation, parameters openapi3.Parameters) *generated {
	made := &generated{world: w, drawn: drawn, op: op, path: op.path, header: http.Header{}}
	made.header.Set("Authorization", "Bearer "+w.key)
	for _, parameter := range parameters {
		made.parameter(parameter.Value)
	}
	if op.secured && rapid.IntRange(0, 11).Draw(drawn, "authorization") == 10 {
		made.authorization()
	}
	if rapid.IntRange(0, 5).Draw(drawn, "headers") == 5 {
		made.harmless()
	}
	if made.query != nil {
		made.withQuery()
	}
	if op.limit > 0 {
		made.withBody()
	}
	return made
}

// broken records a fault.
func (g *generated) broken(status int, why string) {
	g.wrong, g.why = append(g.wrong, status), append(g.why, why)
}

// want returns the expected status: of all faults, the first in the contract's order of checks.
func (g *generated) want() int {
	for _, status := range []int{401, 415, 413, 400, 404, 403, 409} {
		if slices.Contains(g.wrong, status) {
			return status
		}
	}
	return success(g.world.t, g.op)
}

// success returns the one success status of an operation.
func success(t testing.TB, op operation) int {
	for _, status := range []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent} {
		if op.spec.Responses.Status(status) != nil {
			return status
		}
	}
	t.Fatalf("%s: nothing says success", op.id)
	return 0
}

func (g *generated) send() {
	t := g.world.t
	var body any
	sent := "no body"
	if g.body != nil {
		body, sent = *g.body, *g.body
	}
	request, err := http.NewRequestWithContext(t.Context(), g.op.method, g.world.url+g.path, reader(t, body))
	must(t, err)
	request.Header = g.header
	came := g.world.do(request)
	if want := g.want(); came.status != want {
		t.Fatalf("%s %s %q\n%.3000q\nanswered %d, want %d, because of %q\n%.3000s",
			g.op.method, g.path, g.header, sent, came.status, want, g.why, came.body)
	}
	if came.status == http.StatusAccepted && g.items != nil {
		g.judge(came)
	}
	if came.status == http.StatusCreated && g.op.id != "createSuppressions" {
		// Resources left behind would reach the limits of the organization.
		g.world.call(http.MethodDelete, came.header.Get("Location"), nil).is(http.StatusNoContent)
	}
}
