package contracttests

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

func (t *tenant) preview(id uuid.UUID, request values) api.TemplatePreview {
	t.t.Helper()
	return decoded[api.TemplatePreview](t.of(id, http.MethodPost, "/preview", request).is(http.StatusOK))
}

func TestTemplatePreview(t *testing.T) {
	t.Parallel()
	tenant := newStack(t).newTenant()
	id := tenant.createTemplate("Welcome", "text", "Hi {{name}}{{#items}}, {{price}}: {{.}}{{/items}}{{^items}} {{user.mail}}{{/items}}").ID
	for what, c := range map[string]struct {
		variables           any
		subject, html, text string
		missing             []string
	}{
		"a name":       {values{"name": "<Sam>", "user": values{"mail": "s@e.x"}}, "Welcome, <Sam>", "<p>Hi &lt;Sam&gt;</p>", "Hi <Sam> s@e.x", nil},
		"nothing":      {values{}, "Welcome, ", "<p>Hi </p>", "Hi  ", []string{"name", "user.mail"}},
		"null for all": {nil, "Welcome, ", "<p>Hi </p>", "Hi  ", []string{"name", "user.mail"}},
		"null for one": {values{"name": nil, "user": values{"mail": "s@e.x"}}, "Welcome, ", "<p>Hi </p>", "Hi  s@e.x", []string{"name"}},
		"a list":       {values{"name": "Sam", "items": []any{1, nil}, "price": 1.5}, "Welcome, Sam", "<p>Hi Sam</p>", "Hi Sam, 1.5: 1, 1.5: ", []string{"."}},
		"one reached":  {values{"name": "Sam", "items": []any{"x"}}, "Welcome, Sam", "<p>Hi Sam</p>", "Hi Sam, : x", []string{"price"}},
		"braces":       {values{"name": "{{name}}", "items": []any{1}, "price": 2}, "Welcome, {{name}}", "<p>Hi {{name}}</p>", "Hi {{name}}, 2: 1", nil},
	} {
		found := tenant.preview(id, values{"variables": c.variables})
		if shown(found.Subject) != c.subject || shown(found.HTML) != c.html || shown(found.Text) != c.text || !slices.Equal(found.Missing, c.missing) ||
			!slices.Equal(found.Placeholders, []string{"items", "name", "price", "user.mail"}) || found.Version != 1 {
			t.Errorf("%s: %q, %q, %q, missing %q, placeholders %q", what, shown(found.Subject), shown(found.HTML), shown(found.Text), found.Missing, found.Placeholders)
		}
	}
	tenant.publishTemplate(id)
	tenant.editTemplate(id, values{"subject": nil, "html": nil, "text": "Bye"})
	if found := tenant.preview(id, values{}); found.Version != 2 || found.Subject != nil || found.HTML != nil || shown(found.Text) != "Bye" {
		t.Errorf("the latest version is shown as %+v", found)
	}
	if found := tenant.preview(id, values{"version": 1, "variables": values{"name": "Sam"}}); found.Version != 1 || shown(found.HTML) != "<p>Hi Sam</p>" {
		t.Errorf("version 1 is shown as %+v", found)
	}
	if found := tenant.preview(id, values{"version": nil}); found.Version != 2 {
		t.Errorf("null shows version %d", found.Version)
	}
}

func TestTemplatePreviewRefuses(t *testing.T) {
	t.Parallel()
	tenant := newStack(t).newTenant()
	id := tenant.createTemplate("bombs", "html", strings.Repeat("{{a}}", 10), "text", bomb(6)).ID
	stale := tenant.template("", "{{>/etc/passwd}}", false)
	large := strings.Repeat("x", 1_000_000)
	for what, c := range map[string]struct {
		id      uuid.UUID
		code    api.ProblemCode
		pointer string
		request any
	}{
		"no such version":     {id, api.ProblemCodeValidationFailed, "/version", values{"version": 2}},
		"version 0":           {id, api.ProblemCodeValidationFailed, "/version", values{"version": 0}},
		"version 1.5":         {id, api.ProblemCodeValidationFailed, "/version", values{"version": 1.5}},
		"a version for ever":  {id, api.ProblemCodeValidationFailed, "/version", values{"version": 1 << 40}},
		"a list for a text":   {id, api.ProblemCodeTemplateInvalid, "/variables", values{"variables": values{"a": []int{1}}}},
		"an object":           {id, api.ProblemCodeTemplateInvalid, "/variables", values{"variables": values{"a": values{}}}},
		"a 10 MB expansion":   {id, api.ProblemCodeTemplateInvalid, "/variables", values{"variables": values{"a": large}}},
		"escaping expands":    {id, api.ProblemCodeTemplateInvalid, "/variables", values{"variables": values{"a": strings.Repeat("&", 100_000)}}},
		"an endless loop":     {id, api.ProblemCodeTemplateInvalid, "/variables", values{"variables": values{"a": make([]int, 100), "b": "c"}}},
		"a control character": {id, api.ProblemCodeValidationFailed, "/variables/a", values{"variables": values{"a": "\x1b"}}},
		"nine levels":         {id, api.ProblemCodeValidationFailed, "/variables", `{"variables":` + strings.Repeat(`{"a":`, 9) + `1` + strings.Repeat("}", 9) + `}`},
		"1,001 names":         {id, api.ProblemCodeValidationFailed, "/variables", values{"variables": manyNames(1001)}},
		"stored by mistake":   {stale, api.ProblemCodeTemplateInvalid, "", values{}},
	} {
		found := tenant.of(c.id, http.MethodPost, "/preview", c.request).problem(http.StatusBadRequest, c.code)
		if !slices.Equal(slices.Compact(pointers(found)), []string{c.pointer}) {
			t.Errorf("%s: names %q: %s", what, pointers(found), found.Detail)
		}
	}
}
