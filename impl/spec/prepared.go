package spec

import (
	"context"
	"fmt"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/gen/api"
)

// Prepared is the spec, read, validated and prepared. Servers only read it, so that any number of them can share one.
type Prepared struct {
	// Operations holds every operation of the spec.
	Operations []*Operation
	// Closed returns a copy of the spec for judging responses, in which every response is closed: an unlisted member is
	// as wrong as a missing one. It is made at the first call.
	Closed func() (*openapi3.T, error)
}

// Prepare reads, validates and prepares the spec. A secured operation without a scope is an error, and so is one that the
// generated code does not have.
func Prepare(source []byte) (*Prepared, error) {
	doc, err := load(source)
	if err != nil {
		return nil, err
	}
	operations, err := operationsOf(doc)
	if err != nil {
		return nil, err
	}
	return &Prepared{Operations: operations, Closed: sync.OnceValues(func() (*openapi3.T, error) { return loadClosed(source) })}, nil
}

func loadClosed(source []byte) (*openapi3.T, error) {
	doc, err := load(source)
	if err != nil {
		return nil, err
	}
	for _, item := range doc.Paths.Map() {
		for _, operation := range item.Operations() {
			for _, response := range operation.Responses.Map() {
				for _, media := range response.Value.Content {
					closeSchema(media.Schema)
				}
			}
		}
	}
	return doc, nil
}

func closeSchema(schema *openapi3.SchemaRef) {
	if schema == nil {
		return
	}
	if len(schema.Value.Properties) > 0 {
		schema.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: new(bool)}
	}
	for _, property := range schema.Value.Properties {
		closeSchema(property)
	}
	closeSchema(schema.Value.Items)
}

// load reads and validates the spec, with the formats that it uses.
func load(source []byte) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(source)
	if err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
	}
	if err := setTextPatterns(doc); err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
	}
	for name, check := range formats() {
		doc.SetStringFormatValidator(name, check)
	}
	if err := doc.Validate(context.Background(), openapi3.SetRegexCompiler(CompilePattern)); err != nil {
		return nil, fmt.Errorf("check the spec: %w", err)
	}
	return doc, nil
}

// operationsOf prepares every operation of the spec. A secured operation without a scope is an error, and so is one
// that the generated code does not have: the server does not start with an unguarded operation.
func operationsOf(doc *openapi3.T) ([]*Operation, error) {
	var operations []*Operation
	for path, item := range doc.Paths.Map() {
		for method, spec := range item.Operations() {
			prepared, err := prepareOperation(doc, path, method, item, spec)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			operations = append(operations, prepared)
		}
	}
	return operations, matchGenerated(operations)
}

// matchGenerated compares the operations with those that the generated code registers. Guards are attached by
// operation ID, so an operation with another ID in the spec would be served unguarded.
func matchGenerated(operations []*Operation) error {
	generated, err := api.GetSpec()
	if err != nil {
		return fmt.Errorf("read the document of the generated code: %w", err)
	}
	registered := make(map[string]string)
	for path, item := range generated.Paths.Map() {
		for method, spec := range item.Operations() {
			registered[method+" "+path] = spec.OperationID
		}
	}
	for _, op := range operations {
		if id, found := registered[op.Method+" "+op.Path]; !found || id != op.ID {
			return fmt.Errorf("%s %s: operation %s is not in the generated code", op.Method, op.Path, op.ID)
		}
	}
	if len(registered) != len(operations) {
		return fmt.Errorf("the generated code has %d operations, the document %d", len(registered), len(operations))
	}
	return nil
}
