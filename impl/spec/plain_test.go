package spec_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/contracttests/generate"
	"github.com/voostack/mailstack/impl/spec"
)

const plainBody = `{"from":"a@b.test","to":"Sam <c@d.test>, \"x;y\" <e@f.test>","subject":"s","text":"t"}`

// operations returns the rules of the bodies of all operations, and the schema of a send.
func operations(t testing.TB) (bodies map[string]*spec.Body, send *openapi3.Schema) {
	t.Helper()
	source, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := spec.Prepare(source)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := prepared.Closed()
	if err != nil {
		t.Fatal(err)
	}
	bodies = map[string]*spec.Body{}
	for _, op := range prepared.Operations {
		if op.Body != nil {
			bodies[op.ID] = op.Body
		}
	}
	return bodies, doc.Components.Schemas["SendEmailRequest"].Value
}

// sameBothWays demands that a body that is plainly right is right the long way too, and means the same.
func sameBothWays(t interface{ Fatalf(string, ...any) }, bodies map[string]*spec.Body, raw []byte) (plain bool) {
	for id, rules := range bodies {
		value, ok := rules.Accept(raw)
		if !ok {
			continue
		}
		plain = true
		expected, err := spec.Decode(raw)
		if err != nil {
			t.Fatalf("%s: %q is plainly right, and refused: %v", id, raw, err)
		}
		if _, err := rules.Validate(expected, raw); err != nil {
			t.Fatalf("%s: %q is plainly right, and refused: %v", id, raw, err)
		}
		if !reflect.DeepEqual(value, expected) {
			t.Fatalf("%s: %q is %#v plainly, and %#v", id, raw, value, expected)
		}
	}
	return plain
}

func FuzzPlainBody(f *testing.F) {
	bodies, _ := operations(f)
	for _, seed := range []string{
		"", "{}", "null", plainBody, strings.Replace(plainBody, `"s"`, `"\u00e9\ud83d\ude00\n"`, 1), plainBody + "x", plainBody + " \n",
		strings.Replace(plainBody, `"text"`, `"to"`, 1), strings.Replace(plainBody, `"text"`, `"\u0074o"`, 1), strings.Replace(plainBody, `"t"`, `"\ud83d"`, 1),
		strings.Replace(plainBody, `"t"`, "\"\xff\"", 1), strings.Replace(plainBody, `"t"`, `""`, 1), strings.Replace(plainBody, `"t"`, `null`, 1),
		`{"domain":"a.example"}`, `{"address":"a@b.test"}`, `{"name":"x","scopes":["emails:send"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { sameBothWays(t, bodies, raw) })
}

// TestPlainBodiesMeanTheSame compares both ways for generated bodies, for bodies with something changed, and for texts that
// are no JSON any more.
func TestPlainBodiesMeanTheSame(t *testing.T) {
	t.Parallel()
	bodies, send := operations(t)
	maker := generate.Maker{Formats: formats(), Phrases: []string{"{{name}}", "<b>&amp;</b>"}, Longest: 300}
	plain := 0
	rapid.Check(t, func(t *rapid.T) {
		style := generate.Style{Escaped: rapid.Bool().Draw(t, "escaped"), Spaced: rapid.Bool().Draw(t, "spaced")}
		valid := maker.Valid(send).Draw(t, "valid")
		whole := generate.Write(valid, style)
		if sameBothWays(t, bodies, []byte(whole)) {
			plain++
		}
		sameBothWays(t, bodies, []byte(generate.Write(maker.Changed(send, valid).Draw(t, "changed").Value, style)))
		sameBothWays(t, bodies, []byte(generate.Damaged(whole).Draw(t, "damaged").Text))
	})
	if plain == 0 {
		t.Error("no body went the short way")
	}
}

func formats() map[string]generate.Format {
	of := func(right, wrong []string) generate.Format {
		return generate.Format{Right: rapid.SampledFrom(right), Wrong: rapid.SampledFrom(wrong)}
	}
	return map[string]generate.Format{
		"uuid":         of([]string{"0197b2c4-8d43-7f7c-a051-4c3d2e1f0a91"}, []string{"0197b2c48d437f7ca0514c3d2e1f0a91"}),
		"mailbox":      of([]string{"a@b.test", "a@bücher.test", "o'b+c@d.example"}, []string{"a", "a@b.test, c@d.test", "Sam <a@b.test>"}),
		"mailbox-list": of([]string{"a@b.test", `Sam <c@d.test>; "x;y" <e@f.test>`, "Zoë <z@b.test>"}, []string{"a@", "a@b.test,,", "<>"}),
		"tag-list":     of([]string{"a", " a , b-c"}, []string{"a b", "ä", strings.Repeat("a,", 11)}),
	}
}

// TestPlainBodiesAreTaken: the usual bodies go the short way, and what is in doubt does not.
func TestPlainBodiesAreTaken(t *testing.T) {
	t.Parallel()
	bodies, _ := operations(t)
	for body, want := range map[string]bool{
		plainBody: true,
		" \t\r\n" + strings.ReplaceAll(plainBody, `":"`, `" : "`) + "\n":       true,
		strings.Replace(plainBody, `"t"`, `"\u00e9\ud83d\ude00\n\t"`, 1):       true,
		strings.Replace(plainBody, `"t"}`, `"t","templateId":null}`, 1):        false,
		strings.Replace(plainBody, `"t"}`, `"t","variables":{}}`, 1):           false,
		strings.Replace(plainBody, `"t"`, `""`, 1):                             false,
		strings.Replace(plainBody, `"t"`, `"\u0001"`, 1):                       false,
		strings.Replace(plainBody, `"subject"`, `"Subject"`, 1):                false,
		strings.Replace(plainBody, `"s"`, `"`+strings.Repeat("é", 900)+`"`, 1): false,
		strings.Replace(plainBody, `a@b.test`, `a b.test`, 1):                  false,
	} {
		if _, got := bodies["sendEmail"].Accept([]byte(body)); got != want {
			t.Errorf("taken: %v, want %v: %s", got, want, body)
		}
	}
	if _, got := bodies["sendBatch"].Accept([]byte(`{"emails":[]}`)); got {
		t.Error("a list is taken")
	}
}

// BenchmarkBody measures both ways for a send with 1 KB of html.
func BenchmarkBody(b *testing.B) {
	bodies, _ := operations(b)
	rules := bodies["sendEmail"]
	html := strings.Repeat(`<p class=\"a\">The quick brown fox jumps over it.</p>\n`, 18)
	raw := []byte(`{"from":"hello@bench.example","to":"you@rcpt.example","subject":"A subject of a usual length","html":"` + html + `","tags":"bench"}`)
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := rules.Accept(raw); !ok {
				b.Fatal("not plain")
			}
		}
	})
	b.Run("schema", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			value, err := spec.Decode(raw)
			if err == nil {
				_, err = rules.Validate(value, raw)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
