// Package spec prepares openapi.yaml for the validation of requests and responses. It knows schemas and bytes, and no
// router.
//
//   - prepared.go: loading the spec, once for all servers of a process
//   - operation.go: its rules for each operation
//   - formats.go, pattern.go: the formats and patterns that its schemas name
//   - deprecation.go: what is deprecated, since when and until when
//   - parameters.go: validation of path, query and header
//   - body.go: reading, decoding and validating a body
//   - plain.go: decoding and validating a plain body at once
//   - items.go: lists whose items are validated one by one
//   - schema_problem.go: schema errors as JSON pointers and sentences
package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/impl/apikey"
)

// IdempotencyHeader is the header field that carries an idempotency key.
const IdempotencyHeader = "Idempotency-Key"

// Operation is one operation of the spec, prepared for validating its requests.
type Operation struct {
	ID     string
	Path   string
	Method string
	// Secured reports whether the operation needs a key with any one of Scopes.
	Secured bool
	Scopes  []string
	// Accepts reports whether the operation ends in intake, whose transaction checks the key again.
	Accepts bool
	// parameters holds the parameters of the path and of the operation.
	parameters       openapi3.Parameters
	parameterOptions []openapi3.SchemaValidationOption
	spec             *openapi3.Operation
	// Body is nil for an operation without one.
	Body *Body
	// Idempotent reports whether the operation takes an idempotency key, HasSecret whether its response shows a
	// secret.
	Idempotent bool
	HasSecret  bool
	deprecated deprecations
}

func prepareOperation(
	doc *openapi3.T, path, method string, item *openapi3.PathItem, spec *openapi3.Operation,
) (*Operation, error) {
	if spec.OperationID == "" {
		return nil, errors.New("operation without an operationId")
	}
	op := &Operation{
		ID: spec.OperationID, Path: path, Method: method, spec: spec,
		Secured: spec.Security == nil || len(*spec.Security) > 0,
		// Only acceptance reserves an allowance, so only an operation that accepts can respond with 402.
		Accepts:    spec.Responses.Status(http.StatusPaymentRequired) != nil,
		parameters: slices.Concat(item.Parameters, spec.Parameters), parameterOptions: doc.GetSchemaValidationOptions(),
	}
	op.Idempotent = op.parameters.GetByInAndName("header", IdempotencyHeader) != nil
	op.HasSecret, _ = spec.Extensions["x-secret-answer"].(bool)
	if op.Secured {
		scopes, err := extension[[]string](spec.Extensions, "x-required-scopes")
		if err != nil {
			return nil, err
		}
		if unknown := apikey.Missing(apikey.Scopes(), scopes); len(unknown) > 0 {
			return nil, fmt.Errorf("x-required-scopes names unknown scopes %v", unknown)
		}
		if len(scopes) == 0 {
			return nil, errors.New("x-required-scopes is empty")
		}
		op.Scopes = scopes
	}
	if spec.RequestBody != nil {
		rules, err := prepareBody(doc, spec)
		if err != nil {
			return nil, err
		}
		op.Body = rules
	}
	return op, op.prepareDeprecations()
}

// extension reads the value of an x- extension of the spec.
func extension[T any](extensions map[string]any, name string) (T, error) {
	var value T
	raw, found := extensions[name]
	if !found {
		return value, fmt.Errorf("%s is missing", name)
	}
	encoded, err := json.Marshal(raw)
	if err != nil {
		return value, fmt.Errorf("%s: %w", name, err)
	}
	if err := json.Unmarshal(encoded, &value); err != nil {
		return value, fmt.Errorf("%s: %w", name, err)
	}
	return value, nil
}
