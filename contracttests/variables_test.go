package contracttests

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

type values = map[string]any

// content reads the stored bodies of a message, which no operation shows.
func (t *tenant) content(id uuid.UUID) (html, text string) {
	t.t.Helper()
	must(t.t, t.store.Pool().QueryRow(t.t.Context(),
		`SELECT html, text FROM contents WHERE organization_id = $1 AND email_id = $2`, t.id, id).Scan(&html, &text))
	return html, text
}

func TestVariables(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	published := tenant.template("<p>{{name}}</p>", "Hi {{name}}", true)
	plain := tenant.template("<p>html</p>", "", true)
	for name, rendered := range map[string]struct {
		changes             []any
		subject, html, text string
	}{
		"escaped in html, verbatim elsewhere": {
			[]any{"subject", "{{a}}", "html", "<b>{{a}}</b>", "text", "{{a}} {{{a}}} {{&a}}", "variables", values{"a": `<"&'>`}},
			`<"&'>`, "<b>&lt;&#34;&amp;&#39;&gt;</b>", `<"&'> <"&'> <"&'>`,
		},
		"numbers": {
			[]any{"text", "{{a}} {{b}} {{c}} {{d}}", "variables", values{"a": 1e6, "b": 1.5, "c": 0, "d": 9007199254740991}},
			"Welcome", "", "1000000 1.5 0 9007199254740991",
		},
		"booleans":   {[]any{"text", "{{a}} {{b}}", "variables", values{"a": true, "b": false}}, "Welcome", "", "true false"},
		"nested":     {[]any{"text", "{{a.b.c}}", "variables", values{"a": values{"b": values{"c": "x"}}}}, "Welcome", "", "x"},
		"not nested": {[]any{"text", "{{a}}", "variables", values{"a": "{{b}}"}}, "Welcome", "", "{{b}}"},
		"a list":     {[]any{"text", "{{#a}}{{.}},{{/a}}", "variables", values{"a": []any{"x", 2, "z"}}}, "Welcome", "", "x,2,z,"},
		"objects": {
			[]any{"text", "{{#a}}{{n}}{{o}} {{/a}}", "variables", values{"a": []values{{"n": 1}, {"n": 2}}, "o": "!"}},
			"Welcome", "", "1! 2! ",
		},
		"false sections": {
			[]any{
				"text", "{{#a}}A{{x}}{{/a}}{{#b}}B{{/b}}{{#c}}C{{/c}}{{#d}}D{{/d}}{{#e}}E{{/e}}{{^a}}none{{/a}}",
				"variables",
				values{"b": false, "c": []any{}, "d": nil, "e": ""},
			},
			"Welcome", "", "none",
		},
		"line breaks in a body": {[]any{"text", "{{a}}", "variables", values{"a": "x\r\n\ty"}}, "Welcome", "", "x\r\n\ty"},
		"empty":                 {[]any{"text", "a{{! comment }}b", "variables", values{}}, "Welcome", "", "ab"},
		"unused":                {[]any{"variables", values{"a": 1}}, "Welcome", "", "Hi"},
		"absent":                {[]any{"subject", "{{a}}", "text", "{{{", "html", "{{>file}}"}, "{{a}}", "{{>file}}", "{{{"},
		"null":                  {[]any{"subject", "{{a}}", "text", "{{{", "variables", nil}, "{{a}}", "", "{{{"},
		"a template": {
			[]any{"text", nil, "templateId", published, "variables", values{"name": "<Sam>"}},
			"Welcome", "<p>&lt;Sam&gt;</p>", "Hi <Sam>",
		},
		"a template's text overridden": {
			[]any{"text", "Bye {{name}}", "templateId", published, "variables", values{"name": "Sam"}},
			"Welcome", "<p>Sam</p>", "Bye Sam",
		},
		"a template's html overridden": {
			[]any{"html", "<i>{{name}}</i>", "text", "", "templateId", published, "variables", values{"name": "Sam"}},
			"Welcome", "<i>Sam</i>", "Hi Sam",
		},
		"a template without variables": {
			[]any{"subject", "{{^a}}Hello{{/a}}", "text", "{{#a}}x{{/a}}y", "templateId", plain}, "Hello", "<p>html</p>", "y",
		},
		"a template, variables null": {
			[]any{"text", "{{^a}}y{{/a}}", "templateId", plain, "variables", nil}, "Welcome", "<p>html</p>", "y",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := tenant.in(t)
			id := tenant.send(email(from, rendered.changes...))
			html, text := tenant.content(id)
			if subject := tenant.read(id).Subject; subject != rendered.subject || html != rendered.html || text != rendered.text {
				t.Errorf("got %q, %q, %q, want %q, %q, %q", subject, html, text, rendered.subject, rendered.html, rendered.text)
			}
		})
	}
}

func TestVariablesRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	draft := tenant.template("<p>Hi</p>", "Hi", false)
	foreign := s.newTenant().template("<p>Hi</p>", "Hi", true)
	greedy := tenant.template("<p>{{name}} {{user.first}}</p>", "Hi", true)
	reader := tenant.template("", "{{>/etc/passwd}}", true)
	empty := tenant.template("", "", true)
	for name, wrong := range map[string]struct {
		code    api.ProblemCode
		pointer string
		changes []any
	}{
		"draft":          {api.ProblemCodeTemplateNotPublished, "/templateId", []any{"templateId", draft}},
		"foreign":        {api.ProblemCodeTemplateNotPublished, "/templateId", []any{"templateId", foreign}},
		"no template":    {api.ProblemCodeTemplateNotPublished, "/templateId", []any{"templateId", uuid.New()}},
		"empty template": {api.ProblemCodeValidationFailed, "", []any{"templateId", empty, "text", nil}},
		"missing": {
			api.ProblemCodeVariableMissing, "/variables/name /variables/user/first",
			[]any{"templateId", greedy, "text", nil, "variables", values{"user": values{"last": "x"}}},
		},
		"missing, null":            {api.ProblemCodeVariableMissing, "/variables/a", []any{"text", "{{a}}", "variables", values{"a": nil}}},
		"missing, none given":      {api.ProblemCodeVariableMissing, "/variables/name /variables/user/first", []any{"templateId", greedy}},
		"missing, {}":              {api.ProblemCodeVariableMissing, "/variables/a", []any{"subject", "{{a}}", "variables", values{}}},
		"missing, case":            {api.ProblemCodeVariableMissing, "/variables/Name", []any{"text", "{{Name}}", "variables", values{"name": "x"}}},
		"missing in a section":     {api.ProblemCodeVariableMissing, "/variables/b", []any{"text", "{{#a}}{{b}}{{/a}}", "variables", values{"a": true}}},
		"a template with a file":   {api.ProblemCodeTemplateInvalid, "/text", []any{"templateId", reader, "text", nil, "html", "x"}},
		"partial":                  {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{> /etc/passwd }}", "variables", values{}}},
		"partial in html":          {api.ProblemCodeTemplateInvalid, "/html", []any{"html", "{{>../secret}}", "variables", values{}}},
		"partial in subject":       {api.ProblemCodeTemplateInvalid, "/subject", []any{"subject", "{{>a}}", "variables", values{}}},
		"parent":                   {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{<a}}{{/a}}", "variables", values{}}},
		"delimiters":               {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{=<% %>=}}<%a%>", "variables", values{"a": 1}}},
		"three braces in html":     {api.ProblemCodeTemplateInvalid, "/html", []any{"html", "{{{a}}}", "variables", values{"a": 1}}},
		"ampersand in html":        {api.ProblemCodeTemplateInvalid, "/html", []any{"html", "{{& a}}", "variables", values{"a": 1}}},
		"not closed":               {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{a", "variables", values{"a": 1}}},
		"section not closed":       {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{#a}}", "variables", values{"a": 1}}},
		"section closed twice":     {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{#a}}{{/a}}{{/a}}", "variables", values{"a": 1}}},
		"empty tag":                {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{}}", "variables", values{}}},
		"a function":               {api.ProblemCodeTemplateInvalid, "/text", []any{"text", `{{printf "x"}}`, "variables", values{}}},
		"a list as text":           {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{a}}", "variables", values{"a": []int{1}}}},
		"an object as text":        {api.ProblemCodeTemplateInvalid, "/text", []any{"text", "{{a}}", "variables", values{"a": values{}}}},
		"too much work":            {api.ProblemCodeTemplateInvalid, "/text", []any{"text", bomb(6), "variables", values{"a": make([]int, 100)}}},
		"too much text":            {api.ProblemCodeTemplateInvalid, "/text", []any{"text", strings.Repeat("{{a}}", 11), "variables", values{"a": strings.Repeat("x", 1<<20)}}},
		"too much html":            {api.ProblemCodeTemplateInvalid, "/html", []any{"html", strings.Repeat("{{a}}", 3), "variables", values{"a": strings.Repeat("&", 1<<20)}}},
		"nothing left":             {api.ProblemCodeTemplateInvalid, "", []any{"text", "{{#a}}x{{/a}}", "variables", values{}}},
		"feed in subject":          {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "a {{a}}", "variables", values{"a": "b\r\nBcc: x@example.com"}}},
		"line feed in subject":     {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "{{a}}", "variables", values{"a": "\n"}}},
		"return in subject":        {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "{{a}}", "variables", values{"a": "x\r"}}},
		"tab in subject":           {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "{{a}}", "variables", values{"a": "x\ty"}}},
		"C1 in subject":            {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "{{a}}", "variables", values{"a": "\u0085"}}},
		"separator in subject":     {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "{{a}}", "variables", values{"a": "\u2029"}}},
		"empty subject":            {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "{{a}}", "variables", values{"a": ""}}},
		"subject of 999":           {api.ProblemCodeValidationFailed, "/subject", []any{"subject", "{{a}}", "variables", values{"a": strings.Repeat("ä", 999)}}},
		"NUL":                      {api.ProblemCodeValidationFailed, "/variables/a/0/b", []any{"variables", values{"a": []any{values{"b": "\x00"}}}}},
		"NUL in a name":            {api.ProblemCodeValidationFailed, "/variables", []any{"variables", values{"a\x00": 1}}},
		"control character":        {api.ProblemCodeValidationFailed, "/variables/a", []any{"variables", values{"a": "\x1b[31m"}}},
		"control character, named": {api.ProblemCodeValidationFailed, "/variables/a~1b", []any{"variables", values{"a/b": "\x7f"}}},
		"2^53":                     {api.ProblemCodeValidationFailed, "/variables/a", []any{"variables", values{"a": 1 << 53}}},
		"2^53 + 1":                 {api.ProblemCodeValidationFailed, "/variables/a", []any{"variables", values{"a": 1<<53 + 1}}},
		"-2^53":                    {api.ProblemCodeValidationFailed, "/variables/a", []any{"variables", values{"a": -(1 << 53)}}},
		"1e300 inside":             {api.ProblemCodeValidationFailed, "/variables/a/1/b", []any{"variables", values{"a": []any{1, values{"b": 1e300}}}}},
		"1001 names":               {api.ProblemCodeValidationFailed, "/variables", []any{"variables", manyNames(1001)}},
		"an empty name":            {api.ProblemCodeValidationFailed, "/variables", []any{"variables", values{"": 1}}},
		"a long name":              {api.ProblemCodeValidationFailed, "/variables", []any{"variables", values{strings.Repeat("n", 201): 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := email(from, wrong.changes...)
			tenant := tenant.in(t)
			if named := strings.Fields(wrong.pointer); len(named) > 1 {
				came := tenant.refused(singlePath, request)
				if found := pointers(came.problem(http.StatusBadRequest, wrong.code)); !slices.Equal(found, named) {
					t.Errorf("names %q: %s", found, came.body)
				}
				return
			}
			tenant.refusedBothWays(wrong.code, wrong.pointer, request)
		})
	}
}

func bomb(depth int) string {
	return strings.Repeat("{{#a}}", depth) + "x" + strings.Repeat("{{/a}}", depth)
}

func manyNames(n int) values {
	many := values{}
	for i := range n {
		many["n"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+uuid.NewString()] = i
	}
	return many
}

// TestSubstitutionInBatches renders every item with its own template and variables.
func TestSubstitutionInBatches(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	first := tenant.template("", "first {{n}}", true)
	second := tenant.template("", "second {{n}}", true)
	items := []any{
		email(from, "text", nil, "templateId", first, "variables", values{"n": 1}),
		email(from, "text", nil, "templateId", second, "variables", values{"n": 2}),
		email(from, "text", nil, "templateId", first, "variables", values{"n": 3}),
		email(from, "text", "{{n}}"),
		email(from, "text", nil, "templateId", first),
		email(from, "text", "{{n}}", "variables", values{"n": 4}),
	}
	came := tenant.sends(5, 5, batchPath, values{"emails": items}).is(http.StatusAccepted)
	results := decoded[api.BatchResult](came).Results
	for i, want := range []string{"first 1", "second 2", "first 3", "{{n}}", "", "4"} {
		if want == "" {
			if results[i].Code == nil || *results[i].Code != api.ProblemCodeVariableMissing {
				t.Errorf("item %d: %s", i, came.body)
			}
			continue
		}
		if _, text := tenant.content(*results[i].ID); text != want {
			t.Errorf("item %d says %q, want %q", i, text, want)
		}
	}
}

// TestTemplatesChangeNothingLater edits a template after a message was accepted.
func TestTemplatesChangeNothingLater(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	stored := tenant.template("<p>old</p>", "old", true)
	id := tenant.send(email(from, "text", nil, "templateId", stored))
	tenant.execute(`UPDATE template_versions SET html = 'new', text = 'new' WHERE template_id = $1`, stored)
	if html, text := tenant.content(id); html != "<p>old</p>" || text != "old" {
		t.Errorf("became %q, %q", html, text)
	}
	tenant.execute(`UPDATE templates SET published_version = NULL WHERE id = $1`, stored)
	tenant.refused(singlePath, email(from, "templateId", stored)).
		problem(http.StatusBadRequest, api.ProblemCodeTemplateNotPublished)
}

// TestRenderedBatchIsBounded: a small request cannot make a large batch.
func TestRenderedBatchIsBounded(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	id := tenant.template("{{#l}}"+strings.Repeat("x", 40_000)+"{{/l}}", "", true)
	item := func() map[string]any {
		return email(from, "html", nil, "text", nil, "templateId", id, "variables", map[string]any{"l": make([]int, 220)})
	}
	results := judged(tenant.call(http.MethodPost, batchPath, batchOf(item(), item(), item(), email(from))), 4).Results
	for i, result := range results {
		refused := result.Code != nil && *result.Code == api.ProblemCodeTemplateInvalid
		if refused != (i == 2) {
			t.Errorf("item %d: %+v", i, result)
		}
	}
}
