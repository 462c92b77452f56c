package impl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/mail"
)

// operation is what the document says of one operation, prepared for the middleware.
type operation struct {
	id     string
	path   string
	method string
	// secured operations need a key with any one of scopes.
	secured bool
	scopes  []string
	// accepts tells that what the operation does ends in intake, whose transaction looks at the key again.
	accepts bool
	// parameters are those of the path and the operation.
	parameters       openapi3.Parameters
	parameterOptions []openapi3.SchemaValidationOption
	spec             *openapi3.Operation
	// body is nil for an operation without one.
	body *bodyRules
	// idempotent operations take an idempotency key; the answer of some shows a secret.
	idempotent   bool
	secretAnswer bool
}

// loadSpec reads the document and teaches it the formats that it uses.
func loadSpec(source []byte) (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(source)
	if err != nil {
		return nil, fmt.Errorf("read the API document: %w", err)
	}
	for name, check := range formats() {
		doc.SetStringFormatValidator(name, check)
	}
	if err := doc.Validate(context.Background(), openapi3.SetRegexCompiler(compilePattern)); err != nil {
		return nil, fmt.Errorf("check the API document: %w", err)
	}
	return doc, nil
}

// operationsOf prepares every operation of the document. An operation that is secured and names no scope is an error,
// and so is one that the generated code does not know: the server does not start with an open door.
func operationsOf(doc *openapi3.T) ([]*operation, error) {
	var operations []*operation
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

// matchGenerated compares the operations with those that the generated code registers. Guards are hung on operations
// by their id: one that the document calls otherwise would be served unguarded.
func matchGenerated(operations []*operation) error {
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
		if id, found := registered[op.method+" "+op.path]; !found || id != op.id {
			return fmt.Errorf("%s %s: operation %s is not in the generated code", op.method, op.path, op.id)
		}
	}
	if len(registered) != len(operations) {
		return fmt.Errorf("the generated code has %d operations, the document %d", len(registered), len(operations))
	}
	return nil
}

func prepareOperation(
	doc *openapi3.T, path, method string, item *openapi3.PathItem, spec *openapi3.Operation,
) (*operation, error) {
	if spec.OperationID == "" {
		return nil, errors.New("operation without an operationId")
	}
	op := &operation{
		id: spec.OperationID, path: path, method: method, spec: spec,
		secured: spec.Security == nil || len(*spec.Security) > 0,
		// Only acceptance reserves an allowance, and so only what accepts can answer 402.
		accepts:    spec.Responses.Status(http.StatusPaymentRequired) != nil,
		parameters: slices.Concat(item.Parameters, spec.Parameters), parameterOptions: doc.GetSchemaValidationOptions(),
	}
	op.idempotent = op.parameters.GetByInAndName("header", idempotencyHeader) != nil
	op.secretAnswer, _ = spec.Extensions["x-secret-answer"].(bool)
	if op.secured {
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
		op.scopes = scopes
	}
	if spec.RequestBody != nil {
		rules, err := prepareBody(doc, spec)
		if err != nil {
			return nil, err
		}
		op.body = rules
	}
	return op, nil
}

// extension reads a value that the document gives under an x-name.
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

// formats are those of the document that mean a rule. A format that a generated type parses must be here: what the
// schema lets through is bound without a second look.
func formats() map[string]openapi3.StringFormatValidator {
	check := openapi3.NewCallbackValidator[string]
	return map[string]openapi3.StringFormatValidator{
		"uuid": check(func(s string) error {
			if len(s) != 36 || uuid.Validate(s) != nil {
				return errors.New("is not a UUID")
			}
			return nil
		}),
		"date-time": check(checkTime()),
		"mailbox":   check(func(s string) error { return second(mail.ParseAddress(s)) }),
		"mailbox-list": check(func(s string) error {
			if s == "" {
				return nil
			}
			return second(mail.ParseList(s))
		}),
		"tag-list":       check(func(s string) error { return second(mail.ParseTags(s)) }),
		"sending-domain": check(func(s string) error { return second(mail.ParseDomain(s)) }),
		"dns-label":      check(func(s string) error { return second(mail.ParseLabel(s)) }),
	}
}

// checkTime is strict where time.Parse is not: it takes commas, hours of one digit and zones of a day. A time whose year
// has other than four digits in UTC could be stored and never be shown.
func checkTime() func(string) error {
	shape := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	return func(s string) error {
		at, err := time.Parse(time.RFC3339, s)
		if year := at.UTC().Year(); err != nil || !shape.MatchString(s) || year < 0 || year > 9999 {
			return errors.New("is not a date and time as RFC 3339 has them")
		}
		return nil
	}
}

func second[T any](_ T, err error) error { return err }

// serveSpec answers with the document as it is in the repository.
func serveSpec(contentType string, document []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		// A write fails when the client has gone; there is nobody left to tell.
		_, _ = w.Write(document)
	}
}
