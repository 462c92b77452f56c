package contracttests

import (
	"encoding/json"
	"math"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// published returns the document that is served, without the types of a library.
func published(t testing.TB) map[string]any {
	t.Helper()
	source, err := os.ReadFile("../gen/openapi/openapi.json")
	must(t, err)
	var doc map[string]any
	must(t, json.Unmarshal(source, &doc))
	return doc
}

// visitMembers calls visit for every member of every object below a value, with its path.
func visitMembers(path string, value any, visit func(path, name string, value any)) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			visit(path, name, inner)
			visitMembers(path+"/"+name, inner, visit)
		}
	case []any:
		for _, inner := range value {
			visitMembers(path+"[]", inner, visit)
		}
	}
}

// What is served is what `make gen` wrote, and both files say the same.
func TestDocumentIsServed(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for path, version := range map[string]string{"/openapi": "3.0.3", "/openapi-3.1": "3.1.1"} {
		var said []string
		for ending, contentType := range map[string]string{".yaml": "application/yaml", ".json": "application/json"} {
			file, err := os.ReadFile("../gen/openapi" + path + ending)
			must(t, err)
			got := s.exchange(http.MethodGet, path+ending, "", nil).is(http.StatusOK)
			if string(got.body) != string(file) || got.header.Get("Content-Type") != contentType {
				t.Errorf("%s%s is not the file, as %q", path, ending, got.header.Get("Content-Type"))
			}
			doc, err := openapi3.NewLoader().LoadFromData(got.body)
			must(t, err)
			must(t, doc.Validate(t.Context()))
			encoded, err := json.Marshal(doc)
			must(t, err)
			said = append(said, string(encoded))
			if doc.OpenAPI != version {
				t.Errorf("%s%s is in OpenAPI %s", path, ending, doc.OpenAPI)
			}
		}
		if said[0] != said[1] {
			t.Errorf("the two files of %s don't say the same", path)
		}
	}
}

// The published document names nothing that only our server and its generator read.
func TestPublishedDocumentHasNoHints(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{"x-required-scopes": true, "x-max-body-bytes": true, "x-codeSamples": true}
	visitMembers("", published(t), func(path, name string, _ any) {
		if strings.HasPrefix(name, "x-") && !allowed[name] {
			t.Errorf("%s: %s is published", path, name)
		}
	})
}

// portable matches what ECMA-262 (with the flag u, as JSON Schema has it), RE2, PCRE2, Python, Java, Ruby and .NET read the
// same way, for strings without line breaks: a pattern with both anchors, of printable ASCII characters, sets of them, groups and
// quantifiers. Sets are not negated, and hold no character that a dialect gives a meaning there (`[ & \ ^`, two
// hyphens). There are no escapes except for punctuation that all dialects require, and no classes such as \d, in
// which some dialects have all digits of Unicode.
var portable = regexp.MustCompile(`^\^(` + atom + `(` + quantifier + `)?|\(|\)(` + quantifier + `)?|\|)+\$$`)

const (
	atom       = `([A-Za-z0-9 !"#%',:;<=>@_` + "`" + `~/-]|\\[.*+?()\[\]{}|^$\\]|\[` + member + `+-?\])`
	member     = `([A-Za-z0-9]-[A-Za-z0-9]|!-~|[A-Za-z0-9 !"#$%'()*+,./:;<=>?@_` + "`" + `{|}~])`
	quantifier = `[*+?]|\{[0-9]+(,[0-9]*)?\}`
)

func TestPatternsArePortable(t *testing.T) {
	t.Parallel()
	seen := 0
	visitMembers("", published(t), func(path, name string, value any) {
		pattern, isText := value.(string)
		if name != "pattern" || !isText {
			return
		}
		seen++
		if !portable.MatchString(pattern) {
			t.Errorf("%s: %s is not read the same way by all dialects", path, pattern)
		}
		if _, err := regexp.Compile(pattern); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	})
	if seen == 0 {
		t.Error("no pattern was seen")
	}
}

func TestOnlyPortablePatternsPass(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{`^[A-Za-z0-9_.-]{1,64}$`, `^"key";r=[0-9]+;t=[0-9]+$`, `^[!-~]+$`, `^a(b|c\.)*$`} {
		if !portable.MatchString(pattern) {
			t.Errorf("%s is refused", pattern)
		}
	}
	for _, pattern := range []string{
		`^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$`, `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$`, `^\d+$`, `^\w+$`, `^.*$`, `[0-9]+`, `^[0-9]+`,
		`^[a-z&&[^b]]+$`, `^(?=a)b$`, `^(?i)a$`, `^[é]$`, `^\p{L}$`, `^a*?b$`, `^a++$`, `^[[:alpha:]]$`, `\A[a-z]\z`, `^[\-a]$`, `^[a--b]$`,
	} {
		if portable.MatchString(pattern) {
			t.Errorf("%s passes", pattern)
		}
	}
}

// Generators choose the type of an integer by its format, and validate by its bounds.
func TestIntegersHaveFormatsAndBounds(t *testing.T) {
	t.Parallel()
	visitMembers("", map[string]any{"": published(t)}, func(path, name string, value any) {
		schema, isObject := value.(map[string]any)
		if !isObject || schema["type"] != "integer" {
			return
		}
		least, bounded := schema["minimum"].(float64)
		most, bounded2 := schema["maximum"].(float64)
		limits := map[any]float64{"int32": math.MaxInt32, "int64": 1<<53 - 1}
		limit, known := limits[schema["format"]]
		if !bounded || !bounded2 || !known || least < 0 || most > limit || least > most {
			t.Errorf("%s/%s: %v from %v to %v", path, name, schema["format"], schema["minimum"], schema["maximum"])
		}
	})
}

// What the server refuses beyond the patterns is said in words.
func TestControlCharactersAreRefusedInWords(t *testing.T) {
	t.Parallel()
	words := map[string]string{headerText: "No control characters.", bodyText: "No control characters but tabs and line breaks."}
	seen := map[string]int{}
	for name, schema := range document(t).Components.Schemas {
		walk(name, schema, func(path string, schema *openapi3.Schema) {
			said := schema.Description
			if schema.Items != nil && schema.Items.Value.Type.Is("string") {
				said, schema = schema.Description, schema.Items.Value
			}
			if want := words[schema.Pattern]; want != "" && said != "" {
				seen[schema.Pattern]++
				if !strings.Contains(said, want) {
					t.Errorf("%s: the description does not say %q", path, want)
				}
			}
		})
	}
	if len(seen) != len(words) {
		t.Errorf("seen %v", seen)
	}
}

// Each operation says in words which scopes it needs.
func TestPublishedDocumentSaysScopes(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../gen/openapi/openapi.yaml")
	must(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(source)
	must(t, err)
	told := 0
	for _, op := range operationsOf(doc) {
		want := "Needs a key with the scope `" + strings.Join(op.scopes, "` or `") + "`."
		if op.secured != strings.HasSuffix(strings.TrimSpace(op.spec.Description), "\n\n"+want) {
			t.Errorf("%s says %q", op.id, op.spec.Description)
		}
		if op.secured {
			told++
		}
	}
	if told == 0 {
		t.Error("no operation needs a key")
	}
}
