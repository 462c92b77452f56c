package contracttests

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// served are the routes outside the spec; add every new one here.
var served = []string{
	"GET /openapi.yaml", "GET /openapi.json", "GET /docs", "GET /docs/*", "GET /docs/webhooks", "GET /problems", "GET /problems/:code",
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
		"/", "/v1", "/v1/", "/v1/none", "/v2/emails", "/V1/emails", "/v1/Emails", "/v1/emails/", "/v1//emails", "//v1/emails",
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

func TestDocsStayAtHome(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	if got := s.exchange(http.MethodGet, "/docs", "", nil); got.status != http.StatusMovedPermanently || got.header.Get("Location") != "/docs/" {
		t.Errorf("/docs: %d to %q", got.status, got.header.Get("Location"))
	}
	page := s.exchange(http.MethodGet, "/docs/", "", nil).is(http.StatusOK)
	if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("/docs/ came as %q", page.header.Get("Content-Type"))
	}
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'self'") || !strings.Contains(policy, "connect-src 'self'") || strings.Contains(policy, "http") ||
		strings.Contains(policy, "*") {
		t.Errorf("the policy is %q", policy)
	}
	if other := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9]`).Find(page.body); other != nil {
		t.Errorf("/docs/ names another host: %q in %s", other, page.body)
	}
	for _, found := range regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllSubmatch(page.body, -1) {
		base, err := url.Parse("/docs/")
		must(t, err)
		asset, err := base.Parse(string(found[1]))
		must(t, err)
		if got := s.exchange(http.MethodGet, asset.RequestURI(), "", nil); got.status != http.StatusOK || len(got.body) == 0 {
			t.Errorf("%s: %d with %d bytes", asset, got.status, len(got.body))
		}
	}
	shown := decoded[struct{ Servers []struct{ URL string } }](s.exchange(http.MethodGet, "/docs/openapi.json", "", nil).is(http.StatusOK))
	if len(shown.Servers) != 1 || shown.Servers[0].URL != "/" {
		t.Errorf("\"try it\" would talk to %v", shown.Servers)
	}
	if !strings.Contains(string(page.body), "/docs/openapi.json") {
		t.Error("the page shows another document")
	}
	if got := s.exchange(http.MethodGet, "/docs/none", "", nil).status; got != http.StatusNotFound {
		t.Errorf("/docs/none: %d", got)
	}
}

func TestProblemsHavePages(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	index := s.exchange(http.MethodGet, "/problems", "", nil).is(http.StatusOK)
	var listed []string
	for _, found := range regexp.MustCompile(`<code>([a-z-]+)</code>`).FindAllSubmatch(index.body, -1) {
		listed = append(listed, string(found[1]))
	}
	var want []string
	for _, code := range document(t).Components.Schemas["ProblemCode"].Value.Enum {
		want = append(want, code.(string))
	}
	slices.Sort(listed)
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		t.Errorf("the server knows\n%q\nthe document\n%q", listed, want)
	}
	for _, code := range want {
		page := s.exchange(http.MethodGet, "/problems/"+code, "", nil).is(http.StatusOK)
		if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !strings.Contains(string(page.body), code) {
			t.Errorf("%s: %q: %s", code, page.header.Get("Content-Type"), page.body)
		}
	}
	for _, unknown := range []string{"/problems/none", "/problems/Draining", "/problems/%3Cscript%3E"} {
		page := s.exchange(http.MethodGet, unknown, "", nil).is(http.StatusNotFound)
		if strings.Contains(string(page.body), "<script>") {
			t.Errorf("%s: %s", unknown, page.body)
		}
	}
}

// HEAD answers as GET does, without the body (RFC 9110, section 9.3.2).
func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	w := newScene(t, s, owner.key, from, s.clock.now().Add(time.Hour))
	w.furnish()
	check := func(path, key string) {
		get := s.exchange(http.MethodGet, path, key, nil, "X-Request-Id", "head")
		head := s.exchange(http.MethodHead, path, key, nil, "X-Request-Id", "head")
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
	for _, path := range []string{"/openapi.yaml", "/openapi.json", "/docs", "/docs/", "/docs/webhooks", "/problems", "/problems/draining", "/problems/none"} {
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
