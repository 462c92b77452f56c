package contracttests

import (
	"compress/gzip"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// pagePaths are pages of every kind.
func pagePaths() []string {
	return []string{"/docs/", "/docs/webhooks", "/docs/versioning", "/problems", "/problems/draining", "/problems/none"}
}

// A page takes everything from this server, and runs nothing but the script of the reference.
func TestPagesStayAtHome(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for from, to := range map[string]string{"/": "/docs/", "/docs": "/docs/"} {
		if got := s.exchange(http.MethodGet, from, "", nil); got.status/100 != 3 || got.header.Get("Location") != to {
			t.Errorf("%s: %d to %q", from, got.status, got.header.Get("Location"))
		}
	}
	for _, path := range pagePaths() {
		page := s.exchange(http.MethodGet, path, "", nil)
		if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || page.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s came with %v", path, page.header)
		}
		policy := page.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || regexp.MustCompile(`unsafe|http|\*`).MatchString(policy) {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		if regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+=`).Match(page.body) {
			t.Errorf("%s has a script or a style of its own", path)
		}
		for _, loaded := range regexp.MustCompile(`<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"`).FindAllSubmatch(page.body, -1) {
			asset := string(loaded[1])
			if strings.HasPrefix(asset, "data:") {
				continue
			}
			if got := s.exchange(http.MethodGet, asset, "", nil); got.status != http.StatusOK || len(got.body) == 0 {
				t.Errorf("%s loads %s: %d with %d bytes", path, asset, got.status, len(got.body))
			}
		}
	}
	if got := s.exchange(http.MethodGet, "/docs/none", "", nil).status; got != http.StatusNotFound {
		t.Errorf("/docs/none: %d", got)
	}
}

const stylePath, scriptPath = "/docs/style.css", "/docs/reference.js"

// maxReference bounds what a browser loads to show the reference, compressed.
const maxReference = 100_000

func TestStaticAnswersAreSmallAndKept(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	total := 0
	for _, path := range []string{
		"/docs/", stylePath, scriptPath, "/docs/webhooks", "/problems", "/problems/draining",
		"/docs/versioning", "/docs.md", "/docs/versioning.md", "/problems/draining.md", "/llms.txt",
		"/openapi.yaml", "/openapi.json", "/openapi-3.1.yaml", "/openapi-3.1.json",
	} {
		ask := func(fields ...string) *httptest.ResponseRecorder {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			for i := 0; i < len(fields); i += 2 {
				request.Header.Set(fields[i], fields[i+1])
			}
			answer := httptest.NewRecorder()
			s.server.ServeHTTP(answer, request)
			return answer
		}
		plain, packed := ask(), ask("Accept-Encoding", "gzip")
		if plain.Header().Get("Content-Encoding") != "" || packed.Header().Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %v and %v", path, plain.Header(), packed.Header())
			continue
		}
		if path == "/docs/" || path == stylePath || path == scriptPath {
			total += packed.Body.Len()
		}
		for encoding, answer := range map[string]*httptest.ResponseRecorder{"": plain, "gzip": packed} {
			tag := answer.Header().Get("ETag")
			if again := ask("Accept-Encoding", encoding, "If-None-Match", tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
				t.Errorf("%s: the tag %q in %q got %d with %d bytes", path, tag, encoding, again.Code, again.Body.Len())
			}
		}
		reader, err := gzip.NewReader(packed.Body)
		must(t, err)
		unpacked, err := io.ReadAll(reader)
		must(t, err)
		if string(unpacked) != plain.Body.String() || plain.Header().Get("ETag") == packed.Header().Get("ETag") {
			t.Errorf("%s: what is compressed is not what is not, or has the same tag", path)
		}
	}
	if total == 0 || total > maxReference {
		t.Errorf("the reference is %d bytes, want at most %d", total, maxReference)
	}
}

// Answers with secrets or personal data are kept by no cache, and no answer is taken for what it doesn't say it is.
func TestAnswersAreNotCached(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	w := newScene(t, s, owner.key, from, s.clock.now().Add(time.Hour))
	w.furnish()
	for _, op := range operations(t) {
		r := w.succeeding(op)
		for _, key := range []string{r.key, ""} {
			got := s.exchange(op.method, op.within(r.id, r.deliveryID), key, r.body)
			if kept := got.header.Get("Cache-Control"); kept != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d with Cache-Control %q and %q", op.id, got.status, kept, got.header.Get("X-Content-Type-Options"))
			}
		}
	}
	if got := s.exchange(http.MethodGet, "/none", "", nil); got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("/none: %v", got.header)
	}
}

// The reference shows every operation with its parameters, answers, samples and a form, and links to what it links to.
func TestReferenceShowsTheDocument(t *testing.T) {
	t.Parallel()
	page := string(newStack(t).exchange(http.MethodGet, "/docs/", "", nil).is(http.StatusOK).body)
	sections := map[string]string{}
	for _, section := range strings.Split(page, "<article id=\"")[1:] {
		id, _, _ := strings.Cut(section, "\"")
		sections[id] = section
	}
	all := operations(t)
	if len(sections) != len(all) {
		t.Errorf("the reference has %d operations, the document %d", len(sections), len(all))
	}
	for _, op := range all {
		wanted := []string{
			"<code>" + op.path + "</code>", html.EscapeString(op.spec.Summary), `data-method="` + op.method + `"`, `data-path="` + op.path + `"`,
		}
		for _, language := range []string{"curl", "TypeScript", "Python", "Go", "Java", "PHP", "Ruby", "C#"} {
			wanted = append(wanted, `<pre tabindex="0" data-language="`+language+`"`)
		}
		for status := range op.spec.Responses.Map() {
			wanted = append(wanted, `">`+status+"</span>")
		}
		for _, listed := range op.spec.Parameters {
			wanted = append(wanted, `name="`+listed.Value.Name+`"`)
		}
		for _, want := range wanted {
			if !strings.Contains(sections[op.id], want) {
				t.Errorf("%s: there is no %q", op.id, want)
			}
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if strings.Count(page, `id="`+link[1]+`"`) != 1 {
			t.Errorf("#%s is not one place", link[1])
		}
	}
}

func TestProblemsHavePages(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	index := s.exchange(http.MethodGet, "/problems", "", nil).is(http.StatusOK)
	var listed []string
	for _, found := range regexp.MustCompile(`href="/problems/([a-z-]+)"`).FindAllSubmatch(index.body, -1) {
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
		page := html.UnescapeString(string(s.exchange(http.MethodGet, "/problems/"+code, "", nil).is(http.StatusOK).body))
		kind, _ := problem.KindOf(api.ProblemCode(code))
		for _, shown := range []string{
			"<title>" + strings.TrimSuffix(kind.Title, ".") + " ·", "<h1>" + kind.Title + "</h1>", kind.About, `"code": "` + code + `"`, `"title": "` + kind.Title + `"`,
		} {
			if !strings.Contains(page, shown) {
				t.Errorf("%s: the page has no %q", code, shown)
			}
		}
	}
	for _, unknown := range []string{"/problems/none", "/problems/Draining", "/problems/%3Cscript%3E"} {
		page := s.exchange(http.MethodGet, unknown, "", nil).is(http.StatusNotFound)
		if strings.Contains(string(page.body), "<script>") {
			t.Errorf("%s: %s", unknown, page.body)
		}
	}
}

// A problem's page names the operations whose examples show it.
func TestProblemPagesNameOperations(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for code, ids := range map[string][]string{
		"domain-not-verified": {"sendEmail"}, "template-name-exists": {"createTemplate", "updateTemplate"}, "validation-failed": {"sendEmail", "getUsage"},
		"malformed-json": {"createDomain"}, "unauthorized": {"getUsage"},
	} {
		page := s.exchange(http.MethodGet, "/problems/"+code, "", nil).is(http.StatusOK)
		for _, id := range ids {
			if !strings.Contains(string(page.body), `href="/docs/#`+id+`"`) {
				t.Errorf("%s: the page doesn't name %s", code, id)
			}
		}
	}
	if page := s.exchange(http.MethodGet, "/problems/domain-not-verified", "", nil); strings.Contains(string(page.body), "/docs/#getUsage") {
		t.Error("every operation gives domain-not-verified")
	}
}
