package contracttests

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// served are the routes outside the spec; add every new one here.
var served = []string{
	"GET /", "GET /openapi.yaml", "GET /openapi.json", "GET /openapi-3.1.yaml", "GET /openapi-3.1.json", "GET /docs", "GET /docs/",
	"GET /docs/style.css", "GET /docs/reference.js", "GET /docs/webhooks", "GET /docs/versioning", "GET /problems", "GET /problems/:code",
	"GET /docs.md", "GET /docs/webhooks.md", "GET /docs/versioning.md", "GET /problems.md", "GET /llms.txt",
}

func TestRoutesAreTheDocumentAndTheTable(t *testing.T) {
	t.Parallel()
	want := slices.Clone(served)
	for _, op := range operations(t) {
		want = append(want, op.method+" "+strings.NewReplacer("{", ":", "}", "").Replace(op.path))
	}
	got := newStack(t).server.Routes()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the router has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestUnrouted(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant := s.newTenant()
	id := uuid.NewString()
	for _, path := range []string{
		"/v1", "/v1/", "/v1/none", "/v2/emails", "/V1/emails", "/v1/Emails", "/v1/emails/", "/v1//emails", "//v1/emails",
		"/v1/emails/" + id + "/", "/v1/emails/" + id + "/none", "/v1/emails/batch/none", "/v1/domains/", "/v1/domains/" + id + "/",
		"/v1/domains/" + id + "/none", "/v1/domains/" + id + "/verify/", "/v1/domains//verify", "/v1/api-keys/" + id + "/none",
		"/v1/billing", "/v1/billing/usage/", "/v1/billing/usage/x", "/healthz/", "/healthz/x", "/readyz/", "/openapi", "/openapi.yaml/",
		"/v1/emails/../../none", "/%00", "/v1/emails%2Fbatch", "/dev/inbox", "/internal", "/.git/config", "/" + strings.Repeat("a", 5000),
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "FOO"} {
			for _, key := range []string{"", tenant.key} {
				answer := s.exchange(method, path, key, nil)
				if answer.status != http.StatusNotFound {
					t.Errorf("%s %.60s: %d %s", method, path, answer.status, answer.body)
				} else if method != http.MethodHead {
					answer.problem(http.StatusNotFound, api.ProblemCodeRouteNotFound)
				}
			}
		}
	}
}

func TestMethodNotAllowed(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	id := uuid.NewString()
	allowed := map[string][]string{}
	for _, route := range s.server.Routes() {
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer(":id", id, ":deliveryId", id, ":address", "a@example.com", ":code", "draining", "*", "index.html").Replace(path)
		allowed[path] = append(allowed[path], method)
		if method == http.MethodGet {
			allowed[path] = append(allowed[path], http.MethodHead)
		}
	}
	for path, methods := range allowed {
		slices.Sort(methods)
		for _, method := range []string{
			"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "get", "Post", "FOO",
		} {
			if slices.Contains(methods, method) {
				continue
			}
			answer := s.exchange(method, path, "", nil)
			got := strings.Split(answer.header.Get("Allow"), ", ")
			slices.Sort(got)
			if answer.status != http.StatusMethodNotAllowed || !slices.Equal(got, methods) {
				t.Errorf("%s %s: %d, Allow %q, want %q", method, path, answer.status, got, methods)
				continue
			}
			if method != http.MethodHead {
				answer.problem(http.StatusMethodNotAllowed, api.ProblemCodeMethodNotAllowed)
			}
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant := s.newTenant()
	for _, path := range []string{"/v1/domains", "/v1/none", "/v1/emails", "/healthz", "/openapi.yaml", "/problems/draining", "/docs/"} {
		for _, kept := range []string{"a", "A-z_0.9", strings.Repeat("x", 128), uuid.NewString()} {
			if got := tenant.call(http.MethodGet, path, nil, "X-Request-Id", kept).header.Values("X-Request-Id"); !slices.Equal(got, []string{kept}) {
				t.Errorf("%s: %q became %q", path, kept, got)
			}
		}
		seen := map[string]bool{}
		for _, replaced := range []string{"", " ", "a b", strings.Repeat("x", 129), "é", "a,b", "a/b", "<b>", "a\tb", "{}", `"a"`} {
			got := tenant.call(http.MethodGet, path, nil, "X-Request-Id", replaced).header.Get("X-Request-Id")
			if uuid.Validate(got) != nil || seen[got] {
				t.Errorf("%s: %q became %q", path, replaced, got)
			}
			seen[got] = true
		}
	}
}

// HEAD answers as GET does, without the body (RFC 9110, section 9.3.2). The client of Go asks for gzip with GET only.
func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	w := newScene(t, s, owner.key, from, s.clock.now().Add(time.Hour))
	w.furnish()
	check := func(path, key string) {
		get := s.exchange(http.MethodGet, path, key, nil, "X-Request-Id", "head", "Accept-Encoding", "identity")
		head := s.exchange(http.MethodHead, path, key, nil, "X-Request-Id", "head", "Accept-Encoding", "identity")
		get.header.Del("Date")
		head.header.Del("Date")
		if head.status != get.status || len(head.body) != 0 || !maps.EqualFunc(head.header, get.header, slices.Equal) {
			t.Errorf("%s: GET %d %v, HEAD %d %v with %d bytes", path, get.status, get.header, head.status, head.header, len(head.body))
		}
	}
	for _, op := range operations(t) {
		if op.method != http.MethodGet {
			continue
		}
		r := w.succeeding(op)
		path := op.within(r.id, r.deliveryID)
		for _, path := range []string{path, path + "?x=1", op.absent()} {
			check(path, r.key)
		}
		check(path, "")
	}
	for _, path := range []string{
		"/", "/openapi.yaml", "/openapi.json", "/openapi-3.1.yaml", "/openapi-3.1.json", "/docs", "/docs/", "/docs/style.css", "/docs/reference.js",
		"/docs/webhooks", "/docs/versioning", "/problems", "/problems/draining", "/problems/none",
		"/docs.md", "/docs/webhooks.md", "/docs/versioning.md", "/problems.md", "/problems/draining.md", "/problems/none.md", "/llms.txt",
	} {
		check(path, "")
	}
}

// Location names what was created: GET answers with it.
func TestLocationLeadsToWhatWasCreated(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	w := newScene(t, s, owner.key, from, s.clock.now().Add(time.Hour))
	w.furnish()
	for _, op := range operations(t) {
		if op.method != http.MethodPost {
			continue
		}
		success := op.spec.Responses.Value(cmp.Or(successes[op.id], "200")).Value
		if success.Headers["Location"] == nil {
			if successes[op.id] == "201" {
				t.Errorf("%s creates something and does not say where it is", op.id)
			}
			continue
		}
		created := w.create(op.id)
		found := s.exchange(http.MethodGet, created.answer.header.Get("Location"), owner.key, nil).is(http.StatusOK)
		if !strings.Contains(string(found.body), created.id) {
			t.Errorf("%s: %s is %s", op.id, created.answer.header.Get("Location"), found.body)
		}
	}
	if sent := w.create("sendEmail"); sent.answer.header.Get("Location") != singlePath+"/"+sent.id {
		t.Errorf("a message is at %q", sent.answer.header.Get("Location"))
	}
}
