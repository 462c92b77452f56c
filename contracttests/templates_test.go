package contracttests

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

const templatesPath = "/v1/templates"

// newTemplate is a request for a valid template, with members changed, added or (nil) null.
func newTemplate(name string, changes ...any) map[string]any {
	request := map[string]any{"name": name, "subject": "Welcome, {{name}}", "html": "<p>Hi {{name}}</p>", "text": "Hi {{name}}"}
	for i := 0; i+1 < len(changes); i += 2 {
		request[changes[i].(string)] = changes[i+1]
	}
	return request
}

func (t *tenant) createTemplate(name string, changes ...any) api.Template {
	t.t.Helper()
	return decoded[api.Template](t.call(http.MethodPost, templatesPath, newTemplate(name, changes...)).is(http.StatusCreated))
}

// of calls an operation on a template.
func (t *tenant) of(template uuid.UUID, method, below string, body any) answer {
	t.t.Helper()
	return t.call(method, templatesPath+"/"+template.String()+below, body)
}

func (t *tenant) readTemplate(id uuid.UUID) api.Template {
	t.t.Helper()
	return decoded[api.Template](t.of(id, http.MethodGet, "", nil).is(http.StatusOK))
}

func (t *tenant) editTemplate(id uuid.UUID, change values) api.Template {
	t.t.Helper()
	return decoded[api.Template](t.of(id, http.MethodPatch, "", change).is(http.StatusOK))
}

func (t *tenant) publishTemplate(id uuid.UUID) api.Template {
	t.t.Helper()
	return decoded[api.Template](t.of(id, http.MethodPost, "/publish", nil).is(http.StatusOK))
}

func (t *tenant) readVersion(id uuid.UUID, version int) api.TemplateVersion {
	t.t.Helper()
	return decoded[api.TemplateVersion](t.of(id, http.MethodGet, fmt.Sprint("/versions/", version), nil).is(http.StatusOK))
}

// shown returns a value that may be null as text.
func shown[T any](value *T) string {
	if value == nil {
		return "null"
	}
	return fmt.Sprint(*value)
}

func TestTemplateRequests(t *testing.T) {
	t.Parallel()
	tenant := newStack(t).newTenant()
	for what, c := range map[string]struct {
		code    api.ProblemCode
		pointer string
		request map[string]any
	}{
		"no name":              {api.ProblemCodeValidationFailed, "/name", newTemplate("a", "name", nil)},
		"blank name":           {api.ProblemCodeValidationFailed, "/name", newTemplate(" \u3000")},
		"101 characters":       {api.ProblemCodeValidationFailed, "/name", newTemplate(strings.Repeat("é", 101))},
		"line break in a name": {api.ProblemCodeValidationFailed, "/name", newTemplate("a\nb")},
		"no part":              {api.ProblemCodeValidationFailed, "", newTemplate("a", "html", nil, "text", nil)},
		"empty parts":          {api.ProblemCodeValidationFailed, "", newTemplate("a", "html", "", "text", "")},
		"empty subject":        {api.ProblemCodeValidationFailed, "/subject", newTemplate("a", "subject", "")},
		"subject of 999":       {api.ProblemCodeValidationFailed, "/subject", newTemplate("a", "subject", strings.Repeat("ä", 999))},
		"feed in a subject":    {api.ProblemCodeValidationFailed, "/subject", newTemplate("a", "subject", "a\r\nBcc: x@example.com")},
		"NUL":                  {api.ProblemCodeValidationFailed, "/text", newTemplate("a", "text", "\x00")},
		"too much html":        {api.ProblemCodeValidationFailed, "/html", newTemplate("a", "html", strings.Repeat("x", 1<<20+1))},
		"unknown member":       {api.ProblemCodeValidationFailed, "/publishedVersion", newTemplate("a", "publishedVersion", 1)},
		"endless section":      {api.ProblemCodeTemplateInvalid, "/html", newTemplate("a", "html", "{{#items}}<li>{{.}}")},
		"section closed twice": {api.ProblemCodeTemplateInvalid, "/text", newTemplate("a", "text", "{{#a}}{{/a}}{{/a}}")},
		"tag not closed":       {api.ProblemCodeTemplateInvalid, "/subject", newTemplate("a", "subject", "Hi {{name")},
		"a file as a partial":  {api.ProblemCodeTemplateInvalid, "/text", newTemplate("a", "text", "{{> /etc/passwd }}")},
		"a parent file":        {api.ProblemCodeTemplateInvalid, "/html", newTemplate("a", "html", "{{<../layout}}{{/../layout}}")},
		"partial in subject":   {api.ProblemCodeTemplateInvalid, "/subject", newTemplate("a", "subject", "{{>file}}")},
		"delimiters":           {api.ProblemCodeTemplateInvalid, "/text", newTemplate("a", "text", "{{=<% %>=}}<%>file%>")},
		"unescaped in html":    {api.ProblemCodeTemplateInvalid, "/html", newTemplate("a", "html", "{{{name}}}")},
		"17 sections deep":     {api.ProblemCodeTemplateInvalid, "/text", newTemplate("a", "text", bomb(17))},
		"10,001 tags":          {api.ProblemCodeTemplateInvalid, "/text", newTemplate("a", "text", strings.Repeat("{{a}}", 10_001))},
		"wrong in three parts": {api.ProblemCodeTemplateInvalid, "/html /subject /text", newTemplate("a", "subject", "{{", "html", "{{>a}}", "text", "{{#a}}")},
	} {
		found := tenant.call(http.MethodPost, templatesPath, c.request).problem(http.StatusBadRequest, c.code)
		if named := strings.Join(pointers(found), " "); named != c.pointer {
			t.Errorf("%s: names %q, want %q", what, named, c.pointer)
		}
	}
	if listed := tenant.templates(nil); len(listed.Data) != 0 {
		t.Errorf("refused requests left %+v", listed.Data)
	}
	for what, request := range map[string]map[string]any{
		"html alone":        newTemplate("html", "text", nil, "subject", nil),
		"text alone":        newTemplate(strings.Repeat("é", 100), "html", ""),
		"a part of 1 MiB":   newTemplate("large", "html", strings.Repeat("x", 1<<20), "text", strings.Repeat("y", 1<<20)),
		"10,000 tags":       newTemplate("tags", "text", strings.Repeat("{{a}}", 10_000)),
		"subject of 998":    newTemplate("subject", "subject", strings.Repeat("🎉", 998)),
		"tabs and feeds":    newTemplate("feeds", "text", "a\tb\r\nc\n"),
		"braces of styles":  newTemplate("styles", "html", "<style>p{color:red}@media x{p{a:b}}</style>"),
		"16 sections deep":  newTemplate("deep", "text", bomb(16)),
		"null where it may": newTemplate("null", "subject", nil, "html", nil),
	} {
		created := decoded[api.Template](tenant.call(http.MethodPost, templatesPath, request).is(http.StatusCreated))
		read := tenant.readTemplate(created.ID)
		for part, got := range map[string]*string{"subject": read.Subject, "html": read.HTML, "text": read.Text} {
			want, _ := request[part].(string)
			if got == nil && want != "" || got != nil && *got != want {
				t.Errorf("%s: the %s is another", what, part)
			}
		}
	}
}

func TestTemplateNames(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, other := s.newTenant(), s.newTenant()
	owner.createTemplate("Welcome")
	owner.call(http.MethodPost, templatesPath, newTemplate("Welcome")).problem(http.StatusConflict, api.ProblemCodeTemplateNameExists)
	owner.createTemplate("welcome")
	other.createTemplate("Welcome")
	second := owner.createTemplate("Second")
	owner.of(second.ID, http.MethodPatch, "", values{"name": "Welcome", "text": "x"}).
		problem(http.StatusConflict, api.ProblemCodeTemplateNameExists)
	if left := owner.readTemplate(second.ID); left.Name != "Second" || shown(left.Text) != "Hi {{name}}" {
		t.Errorf("a refused edit left %+v", left)
	}
	statuses := concurrently(10, func(int) int { return owner.call(http.MethodPost, templatesPath, newTemplate("raced")).status })
	if statuses[http.StatusCreated] != 1 || statuses[http.StatusConflict] != 9 {
		t.Errorf("10 at once for one name: %v", statuses)
	}
}

func TestTemplateLimits(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	kept := owner.createTemplate("kept").ID
	owner.execute(`INSERT INTO templates (id, organization_id, name, latest_version, created_at, updated_at)
		SELECT gen_random_uuid(), $1, 'filler ' || n, 1, now(), now() FROM generate_series(1, 994) AS n`, owner.id)
	statuses := concurrently(10, func(i int) int {
		answer := owner.call(http.MethodPost, templatesPath, newTemplate(fmt.Sprint("raced ", i)))
		if answer.status == http.StatusConflict {
			answer.problem(http.StatusConflict, api.ProblemCodeTemplateLimitReached)
		}
		return answer.status
	})
	if statuses[http.StatusCreated] != 5 || statuses[http.StatusConflict] != 5 {
		t.Errorf("10 at once with room for 5: %v", statuses)
	}
	s.newTenant().createTemplate("elsewhere")

	owner.execute(`INSERT INTO template_versions (template_id, version, organization_id, html, text, created_at)
		SELECT $1, n, $2, '', 'x', now() FROM generate_series(2, 1000) AS n`, kept, owner.id)
	owner.execute(`UPDATE templates SET latest_version = 1000, published_version = 999 WHERE id = $1`, kept)
	if draft := owner.editTemplate(kept, values{"text": "last"}); draft.LatestVersion != 1000 {
		t.Errorf("the last draft became %+v", draft)
	}
	owner.publishTemplate(kept)
	owner.of(kept, http.MethodPatch, "", values{"text": "one more"}).
		problem(http.StatusConflict, api.ProblemCodeTemplateVersionLimitReached)
	owner.editTemplate(kept, values{"name": "still to be renamed"})
}

func TestTemplatesOfOthers(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	stranger, from := s.newSender()
	id := owner.createTemplate("secret").ID
	owner.publishTemplate(id)
	for _, request := range []struct {
		method, below string
		body          any
	}{
		{http.MethodGet, "", nil},
		{http.MethodPatch, "", values{"text": "theirs"}},
		{http.MethodDelete, "", nil},
		{http.MethodPost, "/publish", nil},
		{http.MethodPost, "/preview", values{}},
		{http.MethodPost, "/preview", values{"version": 1}},
		{http.MethodGet, "/versions", nil},
		{http.MethodGet, "/versions/1", nil},
	} {
		stranger.of(id, request.method, request.below, request.body).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	}
	stranger.refused(singlePath, email(from, "templateId", id)).problem(http.StatusBadRequest, api.ProblemCodeTemplateNotPublished)
	if listed := stranger.templates(nil); len(listed.Data) != 0 {
		t.Errorf("a stranger sees %+v", listed.Data)
	}
	if left := owner.readTemplate(id); shown(left.Text) != "Hi {{name}}" || left.LatestVersion != 1 {
		t.Errorf("strangers left %+v", left)
	}
}

func TestTwoTemplatesInOneBatch(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	var ids []uuid.UUID
	for _, name := range []string{"first", "second"} {
		created := tenant.createTemplate(name, "html", nil, "text", name+" {{n}}")
		tenant.publishTemplate(created.ID)
		tenant.editTemplate(created.ID, values{"text": "draft of " + name})
		ids = append(ids, created.ID)
	}
	draft := tenant.createTemplate("draft").ID
	var items []any
	for i, id := range []uuid.UUID{ids[0], ids[1], draft, ids[0], ids[1]} {
		items = append(items, email(from, "text", nil, "templateId", id, "variables", values{"n": i}))
	}
	came := tenant.sends(4, 4, batchPath, values{"emails": items}).is(http.StatusAccepted)
	results := decoded[api.BatchResult](came).Results
	for i, want := range []string{"first 0", "second 1", "", "first 3", "second 4"} {
		if want == "" {
			if results[i].Code == nil || *results[i].Code != api.ProblemCodeTemplateNotPublished {
				t.Errorf("item %d: %s", i, came.body)
			}
		} else if _, text := tenant.content(*results[i].ID); text != want {
			t.Errorf("item %d says %q, want %q", i, text, want)
		}
	}
}

// templates reads a page of templates.
func (t *tenant) templates(query url.Values) api.TemplateList {
	t.t.Helper()
	return decoded[api.TemplateList](t.call(http.MethodGet, templatesPath+"?"+query.Encode(), nil).is(http.StatusOK))
}

// versions reads a page of the versions of a template.
func (t *tenant) versions(id uuid.UUID, query url.Values) api.TemplateVersionList {
	t.t.Helper()
	return decoded[api.TemplateVersionList](t.of(id, http.MethodGet, "/versions?"+query.Encode(), nil).is(http.StatusOK))
}
