package contracttests

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/apikey"
)

// operation is an operation of the spec, for tests that cover all of them.
type operation struct {
	id, method, path string
	secured          bool
	scopes           []string
	// variable is the path variable that names a resource: id, address, or empty.
	variable string
	// parameters reports whether there are any, in the path or elsewhere.
	parameters bool
	// limit is the maximum body size in bytes; zero means no body.
	limit int64
	// example is the first example of a body, as JSON; empty means no body.
	example string
	spec    *openapi3.Operation
}

// sharedDocument is the spec of all tests in the process; it is only read.
var sharedDocument = sync.OnceValues(readDocument)

func document(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := sharedDocument()
	must(t, err)
	return doc
}

// ownDocument returns a spec that the test may change.
func ownDocument(t testing.TB) *openapi3.T {
	t.Helper()
	doc, err := readDocument()
	must(t, err)
	return doc
}

func readDocument() (*openapi3.T, error) {
	source, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		return nil, err
	}
	return readSpec(source)
}

// The rules for control characters, as patterns: the spec says them in words and names them by x-text.
const (
	headerText = `^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$`
	bodyText   = `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$`
)

// readSpec reads the spec, with patterns for the rules that it says in words.
func readSpec(source []byte) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(source)
	if err != nil {
		return nil, err
	}
	patterns := map[any]string{"header": headerText, "body": bodyText}
	for name, schema := range doc.Components.Schemas {
		walk(name, schema, func(_ string, schema *openapi3.Schema) {
			if pattern, ruled := patterns[schema.Extensions["x-text"]]; ruled {
				schema.Pattern = pattern
			}
		})
	}
	return doc, nil
}

// operations returns the operations of the spec that pass every filter, in a fixed order.
func operations(t testing.TB, filters ...func(operation) bool) []operation {
	t.Helper()
	found := slices.DeleteFunc(operationsOf(document(t)), func(op operation) bool {
		return slices.ContainsFunc(filters, func(passes func(operation) bool) bool { return !passes(op) })
	})
	if len(found) == 0 {
		t.Fatal("no operation of the document passes the filters")
	}
	for _, op := range found {
		if withBody(op) && op.example == "" {
			t.Fatalf("%s: no example of a body", op.id)
		}
	}
	return found
}

// operationsOf returns all operations of a spec, in a fixed order.
func operationsOf(doc *openapi3.T) []operation {
	var found []operation
	for path, item := range doc.Paths.Map() {
		for method, spec := range item.Operations() {
			op := operation{
				id: spec.OperationID, method: method, path: path, spec: spec,
				secured:    spec.Security == nil || len(*spec.Security) > 0,
				variable:   variableOf(path),
				parameters: len(item.Parameters)+len(spec.Parameters) > 0,
			}
			scopes, _ := spec.Extensions["x-required-scopes"].([]any)
			for _, scope := range scopes {
				op.scopes = append(op.scopes, scope.(string))
			}
			if spec.RequestBody != nil {
				limit, _ := spec.Extensions["x-max-body-bytes"].(float64)
				op.limit, op.example = int64(limit), firstExample(spec)
			}
			found = append(found, op)
		}
	}
	slices.SortFunc(found, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return found
}

func firstExample(spec *openapi3.Operation) string {
	examples := spec.RequestBody.Value.Content.Get("application/json").Examples
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		// Values read from YAML always encode.
		encoded, _ := json.Marshal(examples[name].Value.Value)
		return string(encoded)
	}
	return ""
}

// idempotent reports whether the operation takes an idempotency key.
func idempotent(op operation) bool {
	return op.spec.Parameters.GetByInAndName("header", "Idempotency-Key") != nil
}

func secured(op operation) bool  { return op.secured }
func named(op operation) bool    { return op.variable != "" }
func withID(op operation) bool   { return op.variable == "id" }
func withBody(op operation) bool { return op.limit > 0 }

func variableOf(path string) string {
	_, rest, _ := strings.Cut(path, "{")
	variable, _, _ := strings.Cut(rest, "}")
	return variable
}

// at returns the path with the name of a resource in it, and 1 for a number below it.
func (op operation) at(name string) string { return op.within(name, name) }

// within returns the path with the names of a resource and of a delivery in it.
func (op operation) within(name, deliveryID string) string {
	return strings.NewReplacer("{"+op.variable+"}", name, "{version}", "1", "{deliveryId}", deliveryID).Replace(op.path)
}

// absent returns the path with a name that nothing has.
func (op operation) absent() string { return op.at(op.name(uuid.Must(uuid.NewV7()))) }

// name returns a name that a resource could have.
func (op operation) name(id uuid.UUID) string {
	if op.variable == "address" {
		return id.String() + "@example.com"
	}
	return id.String()
}

// body returns a body that passes the schema, or nil.
func (op operation) body() any {
	if op.example == "" {
		return nil
	}
	return op.example
}

// without returns all scopes but these.
func without(scopes []string) []string {
	return slices.DeleteFunc(apikey.Scopes(), func(scope string) bool { return slices.Contains(scopes, scope) })
}
