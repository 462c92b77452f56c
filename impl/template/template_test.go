package template_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/template"
)

const limit = 1 << 20

func parse(t testing.TB, part template.Part, source string) *template.Template {
	t.Helper()
	parsed, err := template.Parse(part, source)
	if err != nil {
		t.Fatalf("%q: %v", source, err)
	}
	return parsed
}

func variables(t testing.TB, document string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(document), &v); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	return v
}

func TestRender(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, variables, want string }{
		{"Hi {{name}}!", `{"name":"Sam"}`, "Hi Sam!"},
		{"Hi {{ name }}!", `{"name":""}`, "Hi !"},
		{"{{a-b}} {{a_b}} {{first name}} {{größe}}", `{"a-b":1,"a_b":2,"first name":3,"größe":4}`, "1 2 3 4"},
		{"{{user.name.first}}", `{"user":{"name":{"first":"Sam"}}}`, "Sam"},
		{"{{a}} {{b}} {{c}} {{d}}", `{"a":1000000,"b":-1e21,"c":0.1,"d":0}`, "1000000 -1000000000000000000000 0.1 0"},
		{"{{a}} {{b}}", `{"a":true,"b":false}`, "true false"},
		{"{{#on}}yes{{/on}}{{^on}}no{{/on}}", `{"on":true}`, "yes"},
		{"{{#on}}yes {{x}}{{/on}}{{^on}}no{{/on}}", `{}`, "no"},
		{"{{#on}}yes{{/on}}{{^on}}no{{/on}}", `{"on":null}`, "no"},
		{"{{#on}}yes{{/on}}{{^on}}no{{/on}}", `{"on":0}`, "no"},
		{"{{#on}}yes{{/on}}{{^on}}no{{/on}}", `{"on":[]}`, "no"},
		{"{{#on}}yes{{/on}}{{^on}}no{{/on}}", `{"on":" "}`, "no"},
		{"{{#on}}yes{{/on}}{{^on}}no{{/on}}", `{"on":{}}`, "yes"},
		{"{{#n}}{{n}} left{{/n}}", `{"n":2}`, "2 left"},
		{"{{#name}}Hi {{.}}{{/name}}", `{"name":"Sam"}`, "Hi Sam"},
		{"{{#list}}<{{.}}>{{/list}}", `{"list":[1,"b",0,false]}`, "<1><b><0><false>"},
		{"{{#list}}{{#.}}{{.}},{{/.}};{{/list}}", `{"list":[[1,2],[3]]}`, "1,2,;3,;"},
		{"{{#items}}{{name}} of {{shop}}\n{{/items}}", `{"shop":"S","items":[{"name":"a"},{"name":"b","shop":"T"}]}`, "a of S\nb of T\n"},
		{"a\n{{#on}}\nb\n{{/on}}\nc", `{"on":true}`, "a\nb\nc"},
		{"a{{! a comment, even {{ or > }}b", `{}`, "ab"},
		{"p { color: red } @media { p { x: y } }", `{}`, "p { color: red } @media { p { x: y } }"},
		{"{{x}} & <b>", `{"x":"a&b<\"'>"}`, "a&b<\"'> & <b>"},
		{"{{{x}}} {{& x}}", `{"x":"<"}`, "< <"},
		{"{{x}}", `{"x":"{{y}}"}`, "{{y}}"},
		{"", `{}`, ""},
	} {
		for _, part := range []template.Part{template.Subject, template.Text} {
			got, err := parse(t, part, c.source).Render(variables(t, c.variables), limit, nil)
			if err != nil || got != c.want {
				t.Errorf("%q with %s: got %q, %v", c.source, c.variables, got, err)
			}
		}
	}
}

func TestRenderEscapesInHTML(t *testing.T) {
	t.Parallel()
	got, err := parse(t, template.HTML, `<a href="{{x}}">{{#l}}{{.}}{{/l}}</a>`).Render(
		map[string]any{"x": `"><script>'&`, "l": []any{"<"}}, limit, nil)
	if want := `<a href="&#34;&gt;&lt;script&gt;&#39;&amp;">&lt;</a>`; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRenderTakesGoNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value any
		want  string
	}{
		{12, "12"},
		{int64(math.MinInt64), "-9223372036854775808"},
		{json.Number("12345678901234567890"), "12345678901234567890"},
		{json.Number("1e6"), "1000000"},
		{json.Number("-0.50"), "-0.5"},
		{json.Number("0.0"), "0"},
		{1e6, "1000000"},
		{math.Copysign(0, -1), "0"},
	} {
		got, err := parse(t, template.Text, "{{x}}").Render(map[string]any{"x": c.value}, limit, nil)
		if err != nil || got != c.want {
			t.Errorf("%v: got %q, %v", c.value, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"{{> /etc/passwd}}":                    "partials",
		"{{>footer}}":                          "partials",
		"{{<parent}}x{{/parent}}":              "partials",
		"{{=<% %>=}}<%x%>":                     "delimiters",
		"{{=x}}":                               "delimiters",
		"a\nb\n{{}}":                           "line 3",
		"{{ }}":                                "empty",
		"{{x":                                  "not closed",
		"{{x}":                                 "not closed",
		"{{{x}}":                               "not closed",
		"{{ {x}}":                              "three braces",
		"{{{}}}":                               "not a name",
		"{{&}}":                                "not a name",
		"{{#}}{{/}}":                           "not a name",
		"{{#a}}":                               `"a" is not closed`,
		"{{#a}}{{/b}}":                         `"b" belongs to no`,
		"{{/a}}":                               "belongs to no",
		"{{#if x}}a{{/if}}":                    `"if"`,
		"{{a..b}}":                             "not a name",
		"{{.a}}":                               "not a name",
		"{{a.}}":                               "not a name",
		"{{a. b}}":                             "not a name",
		"{{a|upper}}":                          "not a name",
		"{{f(x)}}":                             "not a name",
		"{{a\nb}}":                             "not a name",
		"{{a\x00}}":                            "not a name",
		"{{\xff}}":                             "not a name",
		"{{% if x %}}":                         "not a name",
		"{{" + strings.Repeat("x", 201) + "}}": "longer than 200",
		strings.Repeat("{{#a}}", 17) + strings.Repeat("{{/a}}", 17): "nested",
		strings.Repeat("{{#a}}", 1<<20):                             "nested",
		strings.Repeat("{{x}}", 10001):                              "more than 10000 tags",
		strings.Repeat("{{#a}}{{/a}}", 5001):                        "more than 10000 tags",
	} {
		for _, part := range []template.Part{template.Subject, template.HTML, template.Text} {
			_, err := template.Parse(part, source)
			var syntax *template.SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 || (part != template.HTML && !strings.Contains(err.Error(), want)) || len(err.Error()) > 600 {
				t.Errorf("%.60q in part %d: %v", source, part, err)
			}
		}
	}
}

func TestParseRefusesUnescapedInHTML(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"{{{x}}}", "{{&x}}", "{{ & x }}", "{{ {x} }}", "{{\n&x}}", "{{{ x }}}", "{{#a}}{{{x}}}{{/a}}", "{{!}}{{&x}}", "{{{{x}}}}"} {
		var syntax *template.SyntaxError
		if _, err := template.Parse(template.HTML, source); !errors.As(err, &syntax) || !strings.Contains(syntax.Detail, "unescaped") {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source, variables string
		want              []string
	}{
		{"{{b}}{{a}}{{b}}", `{}`, []string{"a", "b"}},
		{"{{a}}", `{"a":null}`, []string{"a"}},
		{"{{a}}", `{"A":1}`, []string{"a"}},
		{"{{a.b}}{{a.c}}", `{"a":{"b":1}}`, []string{"a.c"}},
		{"{{a.b}}", `{"a":"x"}`, []string{"a.b"}},
		{"{{a.b}}", `{"a.b":"x"}`, []string{"a.b"}},
		{"{{#s}}{{a}}{{/s}}{{^s}}{{b}}{{/s}}", `{}`, []string{"b"}},
		{"{{#s}}{{a}}{{/s}}{{^s}}{{b}}{{/s}}", `{"s":true}`, []string{"a"}},
		{"{{#s}}{{a}}{{/s}}", `{"s":[{"a":1},{}]}`, []string{"a"}},
		{"{{#s}}{{a}}{{/s}}", `{"a":2,"s":[{"a":1},{}]}`, []string{}},
		{"{{#s}}{{a}}{{/s}}", `{"a":2,"s":{"a":null}}`, []string{"a"}},
		{"{{#s}}{{.}}{{/s}}", `{"s":[1,null]}`, []string{"."}},
		{"{{#s}}{{a.b}}{{/s}}", `{"a":{"b":1},"s":{"a":{}}}`, []string{"a.b"}},
		{"{{toString}}{{String}}{{len}}", `{}`, []string{"String", "len", "toString"}},
	} {
		parsed := parse(t, template.Text, c.source)
		v := variables(t, c.variables)
		if got := parsed.Missing(v); !slices.Equal(got, c.want) {
			t.Errorf("%q with %s: missing %q", c.source, c.variables, got)
		}
		_, err := parsed.Render(v, limit, nil)
		var missing *template.MissingError
		if errors.As(err, &missing) != (len(c.want) > 0) || (missing != nil && !slices.Equal(missing.Names, c.want)) {
			t.Errorf("%q with %s: %v", c.source, c.variables, err)
		}
	}
}

func TestMissingErrorIsBounded(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	for i := range 500 {
		fmt.Fprintf(&source, "{{x%d}}", i)
	}
	_, err := parse(t, template.Text, source.String()).Render(nil, limit, nil)
	if err == nil || len(err.Error()) > 100 || !strings.HasSuffix(err.Error(), "and 490 more") {
		t.Errorf("got %v", err)
	}
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	parsed := parse(t, template.Text, "{{b}}{{#s}}{{a.x}}{{.}}{{^t}}{{b}}{{/t}}{{/s}}{{! c }}")
	if got, want := parsed.Placeholders(), []string{"a.x", "b", "s", "t"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestRenderRefusesListsAndObjects(t *testing.T) {
	t.Parallel()
	for _, document := range []string{`{"x":[1]}`, `{"x":{"a":1}}`, `{"x":[]}`} {
		_, err := parse(t, template.Text, "{{x}}").Render(variables(t, document), limit, nil)
		var value *template.ValueError
		if !errors.As(err, &value) || value.Name != "x" {
			t.Errorf("%s: %v", document, err)
		}
	}
	var value *template.ValueError
	if _, err := parse(t, template.Text, "{{.}}").Render(nil, limit, nil); !errors.As(err, &value) || value.Name != "." {
		t.Errorf("{{.}} outside a section: %v", err)
	}
}

// caller has a method that the library would call by name.
type caller struct{}

func (caller) String() string { return "called" }

func TestCheckVariables(t *testing.T) {
	t.Parallel()
	nested := func(depth int) map[string]any {
		v := map[string]any{"x": 1.0}
		for range depth - 1 {
			v = map[string]any{"x": v}
		}
		return v
	}
	wide := func(n int) map[string]any {
		v := map[string]any{}
		for i := range n {
			v[fmt.Sprint(i)] = ""
		}
		return v
	}
	for name, v := range map[string]map[string]any{
		"nil": nil, "deep": nested(8), "wide": wide(1000), "long list": {"x": make([]any, 19999)}, "null": {"x": nil},
	} {
		if err := template.CheckVariables(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	loop := map[string]any{}
	loop["x"] = loop
	for name, v := range map[string]map[string]any{
		"too deep": nested(9), "deep list": {"x": []any{[]any{[]any{[]any{[]any{[]any{[]any{[]any{}}}}}}}}}, "too wide": wide(1001),
		"too many": {"x": make([]any, 20000)}, "lists": {"x": []any{make([]any, 15000), make([]any, 15000)}}, "loop": loop,
		"empty name": {"": 1}, "long name": {strings.Repeat("x", 201): 1}, "bad name": {"\xff": 1}, "bad text": {"x": "\xff"},
		"method": {"x": caller{}}, "pointer": {"x": &caller{}}, "lambda": {"x": func() string { return "" }},
		"typed map": {"x": map[string]string{}}, "NaN": {"x": math.NaN()}, "infinite": {"x": math.Inf(1)},
		"no number": {"x": json.Number("x")}, "hex": {"x": json.Number("0x1p-2x")}, "huge": {"x": json.Number("1e999")},
		"long number": {"x": json.Number(strings.Repeat("1", 401))},
	} {
		var value *template.ValueError
		if err := template.CheckVariables(v); !errors.As(err, &value) || len(err.Error()) > 400 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := parse(t, template.Text, "{{x}}").Render(v, limit, nil); !errors.As(err, &value) {
			t.Errorf("%s: rendered, %v", name, err)
		}
		if missing := parse(t, template.Text, "{{y}}").Missing(v); len(missing) > 0 {
			t.Errorf("%s: missing %q", name, missing)
		}
	}
}

func TestRenderStopsBombs(t *testing.T) {
	t.Parallel()
	list := make([]any, 100)
	for i := range list {
		list[i] = "x"
	}
	v := map[string]any{"l": list, "big": strings.Repeat("<", 1<<16)}
	silent := strings.Repeat("{{#l}}", 8) + strings.Repeat("{{/l}}", 8)
	loud := strings.Repeat("{{#l}}", 8) + "{{big}}" + strings.Repeat("{{/l}}", 8)
	for name, source := range map[string]string{"silent": silent, "loud": loud, "big": "{{#l}}{{big}}{{/l}}", "text": "{{#l}}" + strings.Repeat("x", 1<<15) + "{{/l}}"} {
		for _, part := range []template.Part{template.HTML, template.Text} {
			_, err := parse(t, part, source).Render(v, limit, nil)
			var reached *template.LimitError
			if !errors.As(err, &reached) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestRenderKeepsTheLimitExactly(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"abc", "{{x}}", "a{{x}}", "{{x}}{{x}}{{x}}", "{{#x}}abc{{/x}}"} {
		parsed := parse(t, template.HTML, source)
		v := map[string]any{"x": "<"}
		whole, err := parsed.Render(v, limit, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parsed.Render(v, len(whole), nil); err != nil || got != whole {
			t.Errorf("%q at its own length: %q, %v", source, got, err)
		}
		for below := -1; below < len(whole); below++ {
			var reached *template.LimitError
			if got, err := parsed.Render(v, below, nil); !errors.As(err, &reached) || got != "" {
				t.Errorf("%q within %d: %q, %v", source, below, got, err)
			}
		}
	}
}
