package template_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cbroglie/mustache"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/template"
)

var variableNames = []string{"a", "b", "c", "a.b", "b.c.a", "."}

// sources draws templates in which every variable shows its name and its
// value: [a=1].
func sources(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var source strings.Builder
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			name := rapid.SampledFrom(variableNames).Draw(t, "name")
			kind := rapid.SampledFrom([]string{"", "", "#", "^"}).Draw(t, "kind")
			if kind == "" || depth == 0 {
				fmt.Fprintf(&source, "[%s={{%s}}]", name, name)
				continue
			}
			fmt.Fprintf(&source, "{{%s%s}}%s{{/%s}}", kind, name, sources(depth-1).Draw(t, "inside"), name)
		}
		return source.String()
	})
}

// values draws JSON values, including the special characters of html.
func values(depth int) *rapid.Generator[any] {
	plain := rapid.SampledFrom([]any{nil, true, false, 0.0, 1e6, "x", "", " ", `<&>"'`, "v}}{{a"})
	if depth == 0 {
		return plain
	}
	return rapid.OneOf(
		plain,
		rapid.Map(objects(depth-1), func(o map[string]any) any { return o }),
		rapid.Map(rapid.SliceOfN(values(depth-1), 0, 3), func(l []any) any { return l }),
	)
}

func objects(depth int) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), values(depth), 0, 3)
}

// TestWalkAgreesWithTheLibrary checks that we find in advance what the library
// shows: the variables that were reached without a value, or with one that it
// prints as Go does.
func TestWalkAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Values that print as nothing would look like missing ones.
		v := visible(objects(3).Draw(t, "variables")).(map[string]any)
		source := sources(3).Draw(t, "source")
		printed, err := mustache.RenderRaw(source, true, v)
		if err != nil {
			t.Fatal(err)
		}
		var missing []string
		for _, name := range variableNames {
			if strings.Contains(printed, "["+name+"=]") || strings.Contains(printed, "["+name+"=<nil>]") {
				missing = append(missing, name)
			}
		}
		slices.Sort(missing)
		wrong := strings.Contains(printed, "=map[") || strings.Contains(printed, "=[")

		parsed, err := template.Parse(template.Text, source)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Missing(v); !slices.Equal(got, missing) {
			t.Fatalf("missing %q, but the library prints %s", got, printed)
		}
		rendered, err := parsed.Render(v, limit, nil)
		var missed *template.MissingError
		var value *template.ValueError
		switch {
		case errors.As(err, &value):
			if !wrong {
				t.Fatalf("%v, but the library prints %s", err, printed)
			}
		case errors.As(err, &missed):
			if wrong || len(missing) == 0 {
				t.Fatalf("%v, but the library prints %s", err, printed)
			}
		case err != nil:
			t.Fatal(err)
		case wrong || len(missing) > 0 || rendered != strings.ReplaceAll(printed, "1e+06", "1000000"):
			t.Fatalf("rendered %s, but the library prints %s", rendered, printed)
		}
	})
}

// TestPreviewAgreesWithTheLibrary checks that a preview is what the library
// prints, with nothing in the place of missing values.
func TestPreviewAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := visible(objects(3).Draw(t, "variables")).(map[string]any)
		source := sources(3).Draw(t, "source")
		printed, err := mustache.RenderRaw(source, true, v)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := template.Parse(template.Text, source)
		if err != nil {
			t.Fatal(err)
		}
		previewed, missing, err := parsed.Preview(v, limit)
		var value *template.ValueError
		if errors.As(err, &value) {
			if _, err := parsed.Render(v, limit, nil); !errors.As(err, &value) {
				t.Fatalf("a preview fails where rendering says %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := parsed.Missing(v); !slices.Equal(missing, want) {
			t.Fatalf("missing %q, want %q", missing, want)
		}
		if want := strings.NewReplacer("1e+06", "1000000", "<nil>", "").Replace(printed); previewed != want {
			t.Fatalf("previewed %s, want %s", previewed, want)
		}
	})
}

func visible(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return "empty"
		}
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			out[name] = visible(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = visible(item)
		}
		return out
	}
	return value
}

var entities = strings.NewReplacer("&lt;", "", "&gt;", "", "&amp;", "", "&#34;", "", "&#39;", "")

func checkHTML(t interface{ Fatalf(string, ...any) }, rendered string) {
	if strings.ContainsAny(entities.Replace(rendered), `<>&"'`) {
		t.Fatalf("a value reached html unescaped: %q", rendered)
	}
}

func TestHTMLIsEscapedAndLimited(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parsed, err := template.Parse(template.HTML, sources(3).Draw(t, "source"))
		if err != nil {
			t.Fatal(err)
		}
		most := rapid.IntRange(0, 200).Draw(t, "limit")
		rendered, err := parsed.Render(objects(3).Draw(t, "variables"), most, nil)
		if len(rendered) > most || (err != nil && rendered != "") {
			t.Fatalf("%d octets within %d, %v", len(rendered), most, err)
		}
		checkHTML(t, rendered)
	})
}

func FuzzParseAndRender(f *testing.F) {
	for _, seed := range []string{
		"Hi {{name}}", "{{#a}}{{.}}{{/a}}{{^a}}{{b.c}}{{/a}}", "{{{a}}}", "{{& a}}", "{{ {a} }}", "{{=<% %>=}}<%a%>", "{{>a}}", "{{!a}}\n {{#a}} \r\n{{/a}}\n", "{{{{a}}}}",
	} {
		f.Add(seed, `<b>&"'`)
	}
	f.Fuzz(func(t *testing.T, source, value string) {
		v := map[string]any{
			"a": []any{value, map[string]any{"b": value, "c": 1.5}, []any{nil, true}}, "b": map[string]any{"c": value}, "c": value, "name": value,
		}
		// Remove markup from the source, so that any markup in the result came from a
		// value.
		source = strings.Map(func(r rune) rune {
			if strings.ContainsRune(`<>"'`, r) {
				return -1
			}
			return r
		}, source)
		for _, part := range []template.Part{template.Subject, template.HTML, template.Text} {
			parsed, err := template.Parse(part, source)
			if err != nil {
				var syntax *template.SyntaxError
				if !errors.As(err, &syntax) {
					t.Fatalf("%v is no syntax error", err)
				}
				continue
			}
			missing := parsed.Missing(v)
			if names := parsed.Placeholders(); !slices.IsSorted(names) {
				t.Fatalf("placeholders %q", names)
			}
			rendered, err := parsed.Render(v, 1000, nil)
			if len(rendered) > 1000 || (err == nil && len(missing) > 0) {
				t.Fatalf("%d octets, missing %q, %v", len(rendered), missing, err)
			}
			if part == template.HTML && strings.ContainsAny(rendered, `<>"'`) {
				t.Fatalf("a value reached html unescaped: %q", rendered)
			}
		}
	})
}

func BenchmarkParseAndRender(b *testing.B) {
	source := strings.Repeat("Some text of a mail with a {{name}} in it. ", 24)
	v := map[string]any{"name": "Sam"}
	for b.Loop() {
		if _, err := parse(b, template.HTML, source).Render(v, limit, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRenderWorstCase measures the most work that one rendering can do.
func BenchmarkRenderWorstCase(b *testing.B) {
	list := make([]any, 250)
	for i := range list {
		list[i] = map[string]any{"x": "x"}
	}
	source := strings.Repeat("{{#t}}", 14) + "{{#l}}{{#l}}{{y}}{{/l}}{{/l}}" + strings.Repeat("{{/t}}", 14)
	parsed := parse(b, template.HTML, source)
	v := map[string]any{"l": list, "t": true, "y": "y"}
	for b.Loop() {
		if _, err := parsed.Render(v, 10*limit, nil); err != nil {
			b.Fatal(err)
		}
	}
}
