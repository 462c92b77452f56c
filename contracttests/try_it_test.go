package contracttests

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// What /docs fills in can be executed as it is: only an id or address of the document, which names nothing here, is 404.
func TestExamplesOfDocsCanBeExecuted(t *testing.T) {
	t.Parallel()
	const domain = "mail.test"
	s := newStack(t, options{exampleDomain: domain})
	shown, err := openapi3.NewLoader().LoadFromData(s.exchange(http.MethodGet, "/docs/openapi.json", "", nil).is(http.StatusOK).body)
	must(t, err)
	for _, op := range operationsOf(shown) {
		owner := s.newTenant()
		owner.verified(domain)
		path, headers := prefilled(shown, op)
		for _, body := range bodiesOf(op) {
			came := owner.call(op.method, path, body, headers...)
			if came.status >= http.StatusBadRequest && (came.status != http.StatusNotFound || !strings.Contains(op.path, "{")) {
				t.Errorf("%s %s %s: %d %s", op.method, path, body, came.status, came.body)
			}
		}
	}
}

// prefilled returns the path with its query, and the headers, that the examples of the parameters make.
func prefilled(doc *openapi3.T, op operation) (path string, headers []string) {
	path = op.path
	query := url.Values{}
	for _, parameter := range slices.Concat(doc.Paths.Value(op.path).Parameters, op.spec.Parameters) {
		example := parameter.Value.Example
		if example == nil {
			continue
		}
		text := fmt.Sprint(example)
		switch parameter.Value.In {
		case openapi3.ParameterInPath:
			path = strings.ReplaceAll(path, "{"+parameter.Value.Name+"}", url.PathEscape(text))
		case openapi3.ParameterInQuery:
			query.Set(parameter.Value.Name, text)
		default:
			headers = append(headers, parameter.Value.Name, text)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path, headers
}

// bodiesOf returns the examples of a body, or nil alone.
func bodiesOf(op operation) []any {
	if op.spec.RequestBody == nil {
		return []any{nil}
	}
	var bodies []any
	examples := op.spec.RequestBody.Value.Content.Get("application/json").Examples
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		encoded, _ := json.Marshal(examples[name].Value.Value) // values read from JSON always encode
		bodies = append(bodies, string(encoded))
	}
	return bodies
}

// A parameter that narrows, or that belongs to one request alone, has no example: pages fill in every example.
func TestOptionalParametersHaveNoExample(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for _, op := range operationsOf(doc) {
		for _, parameter := range slices.Concat(doc.Paths.Value(op.path).Parameters, op.spec.Parameters) {
			required, found := parameter.Value.Required, parameter.Value.Example != nil
			if required != found && parameter.Value.Name != "limit" {
				t.Errorf("%s: %s is required: %t, and has an example: %t", op.id, parameter.Value.Name, required, found)
			}
		}
	}
}
