package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/contracttests/generate"
)

// The published documents in OpenAPI 3.0 and 3.1 say the same: every schema accepts and refuses the same values, as many as
// the flag rapid.checks says. Each dialect is judged by a validator of its own. And the values tell the dialects apart: where
// a null is forgotten, some value is accepted by one of them only.
func TestDialectsAgree(t *testing.T) {
	t.Parallel()
	older, newer := bothDialects(t)
	accepted, refused, schemas, nulls := 0, 0, 0, 0
	for at, ref := range schemasOf(older) {
		if ref.Ref != "" {
			if said, _ := lookUp(newer, at).(map[string]any); said["$ref"] != ref.Ref {
				t.Errorf("%s is %v in OpenAPI 3.1, and refers to %s in 3.0", at, said, ref.Ref)
			}
			continue
		}
		schemas++
		values := judgedValues(t, ref.Value)
		for _, one := range values {
			if one.accepted {
				accepted++
			} else {
				refused++
			}
		}
		if differs := difference(compiledFrom(t, newer, at), values); differs != "" {
			t.Errorf("%s: %s", at, differs)
		}
		forEachNull(lookUp(newer, at), at, func(path string) {
			nulls++
			if difference(compiledFrom(t, newer, at), values) == "" {
				t.Errorf("%s: no value shows that null is forgotten", path)
			}
		})
	}
	if schemas < 100 || nulls < 50 || accepted < refused/5 || refused < accepted/5 {
		t.Errorf("%d schemas with %d nulls accept %d values and refuse %d", schemas, nulls, accepted, refused)
	}
	t.Logf("%d schemas accept %d values and refuse %d in both dialects; %d nulls, each missed where it is forgotten",
		schemas, accepted, refused, nulls)
}

// difference returns on which value a schema in OpenAPI 3.1 decides otherwise than in OpenAPI 3.0, or nothing.
func difference(schema *jsonschema.Schema, values []judgedValue) string {
	for _, one := range values {
		if err := schema.Validate(one.value); (err == nil) != one.accepted {
			return fmt.Sprintf("OpenAPI 3.0 accepts %.200v: %t; OpenAPI 3.1: %v", one.value, one.accepted, err)
		}
	}
	return ""
}

// forEachNull takes null from one type after another, below a schema in OpenAPI 3.1, and calls visit each time.
func forEachNull(value any, path string, visit func(path string)) {
	switch value := value.(type) {
	case map[string]any:
		if types, isList := value["type"].([]any); isList && types[1] == "null" {
			value["type"] = types[0]
			visit(path)
			value["type"] = types
		}
		for name, inner := range value {
			forEachNull(inner, path+"/"+name, visit)
		}
	case []any:
		for i, inner := range value {
			forEachNull(inner, fmt.Sprintf("%s/%d", path, i), visit)
		}
	}
}

// bothDialects returns the published document in OpenAPI 3.0, and as plain values in 3.1.
func bothDialects(t *testing.T) (older *openapi3.T, newer any) {
	t.Helper()
	older, err := openapi3.NewLoader().LoadFromFile("../openapi/openapi.yaml")
	must(t, err)
	source, err := os.ReadFile("../openapi/openapi-3.1.json")
	must(t, err)
	must(t, json.Unmarshal(source, &newer))
	return older, newer
}

// schemasOf returns the schemas of a document in OpenAPI 3.0 by where they are in OpenAPI 3.1, as JSON pointers.
func schemasOf(doc *openapi3.T) map[string]*openapi3.SchemaRef {
	found := map[string]*openapi3.SchemaRef{}
	add := func(at string, ref *openapi3.SchemaRef, content openapi3.Content) {
		if ref != nil {
			found[at+"/schema"] = ref
		}
		for kind, media := range content {
			found[at+"/content/"+escaped(kind)+"/schema"] = media.Schema
		}
	}
	response := func(at string, ref *openapi3.ResponseRef) {
		if ref.Ref != "" {
			return
		}
		add(at, nil, ref.Value.Content)
		for name, header := range ref.Value.Headers {
			if header.Ref == "" {
				add(at+"/headers/"+name, header.Value.Schema, header.Value.Content)
			}
		}
	}
	parameters := func(at string, listed openapi3.Parameters) {
		for i, one := range listed {
			if one.Ref == "" {
				add(fmt.Sprintf("%s/parameters/%d", at, i), one.Value.Schema, one.Value.Content)
			}
		}
	}
	var path func(at string, item *openapi3.PathItem)
	path = func(at string, item *openapi3.PathItem) {
		parameters(at, item.Parameters)
		for method, op := range item.Operations() {
			at := at + "/" + strings.ToLower(method)
			parameters(at, op.Parameters)
			if op.RequestBody != nil && op.RequestBody.Ref == "" {
				add(at+"/requestBody", nil, op.RequestBody.Value.Content)
			}
			for status, one := range op.Responses.Map() {
				response(at+"/responses/"+status, one)
			}
			for name, callback := range op.Callbacks {
				for _, target := range callback.Value.Map() {
					path("/webhooks/"+name, target)
				}
			}
		}
	}
	for name, item := range doc.Paths.Map() {
		path("/paths/"+escaped(name), item)
	}
	for name, schema := range doc.Components.Schemas {
		found["/components/schemas/"+name] = schema
	}
	for name, one := range doc.Components.Parameters {
		add("/components/parameters/"+name, one.Value.Schema, one.Value.Content)
	}
	for name, one := range doc.Components.Headers {
		add("/components/headers/"+name, one.Value.Schema, one.Value.Content)
	}
	for name, one := range doc.Components.Responses {
		response("/components/responses/"+name, one)
	}
	for name, one := range doc.Components.RequestBodies {
		add("/components/requestBodies/"+name, nil, one.Value.Content)
	}
	return found
}

func escaped(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

// lookUp returns what a JSON pointer leads to, or nil.
func lookUp(value any, pointer string) any {
	for _, step := range strings.Split(pointer, "/")[1:] {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch inside := value.(type) {
		case map[string]any:
			value = inside[step]
		case []any:
			var at int
			if _, err := fmt.Sscan(step, &at); err != nil || at >= len(inside) {
				return nil
			}
			value = inside[at]
		default:
			return nil
		}
	}
	return value
}

// compiledFrom returns the schema at a place of a document in OpenAPI 3.1, for a validator of JSON Schema 2020-12.
func compiledFrom(t *testing.T, document any, at string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for name := range formatExamples() {
		compiler.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(value any) error {
			if text, isText := value.(string); isText {
				return checkFormat(name, text)
			}
			return nil
		}})
	}
	must(t, compiler.AddResource("document.json", document))
	schema, err := compiler.Compile("document.json#" + strings.ReplaceAll(at, "%", "%25"))
	must(t, err)
	return schema
}

// formatExamples hold a string of each format. For this test every other string has the format as well, but for
// "not a …": the validators differ in what they know of formats, which is not what is compared.
func formatExamples() map[string]string {
	return map[string]string{
		"uuid": "0197b2c4-5a10-7cc3-9d4e-1f0a2b3c4d5e", "date-time": "2026-06-18T10:00:00.000Z", "uri": "https://example.com/hook",
		"uri-reference": "/problems/not-found", "mailbox": "sam@example.com", "mailbox-list": "sam@example.com, ada@example.com",
		"tag-list": "a,b", "sending-domain": "example.com", "dns-label": "mail",
	}
}

func checkFormat(name, text string) error {
	if text == "not a "+name {
		return fmt.Errorf("is not a %s", name)
	}
	return nil
}

// judgedValue is a value with the verdict of its schema in OpenAPI 3.0.
type judgedValue struct {
	value    any
	accepted bool
}

// judgedValues returns values of the schema and near it. They are the same in every run.
func judgedValues(t *testing.T, schema *openapi3.Schema) []judgedValue {
	t.Helper()
	count, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String())
	must(t, err)
	maker := generate.Maker{Formats: map[string]generate.Format{}, Longest: 1100}
	options := []openapi3.SchemaValidationOption{openapi3.FailFast()}
	for name, example := range formatExamples() {
		maker.Formats[name] = generate.Format{Right: rapid.Just(example), Wrong: rapid.Just("not a " + name)}
		options = append(options, openapi3.WithStringFormatValidator(name, openapi3.NewCallbackValidator(func(text string) error {
			return checkFormat(name, text)
		})))
	}
	values := rapid.Custom(func(drawn *rapid.T) any {
		made := schema
		if len(schema.OneOf) > 0 {
			made = rapid.SampledFrom(schema.OneOf).Draw(drawn, "variant").Value
		}
		if rapid.Bool().Draw(drawn, "valid") {
			return maker.Valid(made).Draw(drawn, "value")
		}
		return maker.Near(made).Draw(drawn, "value").Value
	})
	judged := make([]judgedValue, count)
	for seed := range judged {
		value := asParsed(values.Example(seed))
		judged[seed] = judgedValue{value, schema.VisitJSON(value, options...) == nil}
	}
	return judged
}

// asParsed returns a value as a JSON decoder reads it.
func asParsed(value any) any {
	var read any
	// What was written always reads, but for a name given twice, of which the last counts.
	_ = json.Unmarshal([]byte(generate.Write(value, generate.Style{})), &read)
	return read
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
