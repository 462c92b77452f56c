package contracttests

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// always are the headers that every answer of an operation has, with their values; empty means any. The document does not
// call them required: the generated server would have each operation set them.
var always = map[string]string{"X-Request-Id": "", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

// contract judges exchanges by the spec. Its copy of every response schema is closed: a member or header that the
// spec does not list is as wrong as a missing one.
type contract struct {
	doc    *openapi3.T
	router routers.Router
	// behindProxy allows headers that the spec does not list, because proxies add some.
	behindProxy bool
}

// exchange is a request with its response.
type exchange struct {
	request *http.Request
	sent    []byte
	status  int
	header  http.Header
	body    []byte
}

// cell is one operation with one response status.
type cell struct {
	operation string
	status    int
}

// sharedContract is the judge of all tests in the process; it is only read.
var sharedContract = sync.OnceValues(readContract)

func loadContract(t testing.TB) *contract {
	t.Helper()
	c, err := sharedContract()
	must(t, err)
	return c
}

func readContract() (*contract, error) {
	source, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := readSpec(source)
	if err != nil {
		return nil, err
	}
	doc.Servers = nil
	for _, op := range operationsOf(doc) {
		for _, response := range op.spec.Responses.Map() {
			for _, media := range response.Value.Content {
				walk(op.id, media.Schema, closeObject)
			}
		}
		if op.spec.RequestBody != nil {
			walk(op.id, op.spec.RequestBody.Value.Content.Get("application/json").Schema, openItems)
		}
	}
	router, err := gorillamux.NewRouter(doc)
	return &contract{doc: doc, router: router}, err
}

func closeObject(_ string, schema *openapi3.Schema) {
	if schema.Type.Is("object") {
		schema.AdditionalProperties = openapi3.AdditionalProperties{Has: new(bool)}
	}
}

// openItems removes the schema of items that are judged one by one: an invalid item does not make the request
// invalid.
func openItems(_ string, schema *openapi3.Schema) {
	if schema.Extensions["x-validate-items"] == "each" {
		schema.Items = openapi3.NewSchemaRef("", openapi3.NewSchema().WithNullable())
	}
}

// cells returns every cell of the spec except 500, which is documented for clients to decode and must never occur.
func (c *contract) cells() map[cell]bool {
	found := map[cell]bool{}
	for _, op := range operationsOf(c.doc) {
		for listed := range op.spec.Responses.Map() {
			status, err := strconv.Atoi(listed)
			if err == nil && status != http.StatusInternalServerError {
				found[cell{op.id, status}] = true
			}
		}
	}
	return found
}

// cellOf returns the cell of an exchange; false for paths outside the spec.
func (c *contract) cellOf(x exchange) (cell, bool) {
	route, _, err := c.router.FindRoute(x.request)
	if err != nil {
		return cell{}, false
	}
	return cell{route.Operation.OperationID, x.status}, true
}

// checkAnswer compares a response with the spec.
func (c *contract) checkAnswer(x exchange) error {
	if x.header.Get("X-Request-Id") == "" {
		return errors.New("answer without X-Request-Id")
	}
	if x.status == http.StatusInternalServerError {
		return errors.New("answered 500")
	}
	if err := checkProblem(x); err != nil {
		return err
	}
	route, parameters, err := c.router.FindRoute(x.request)
	if err != nil {
		return c.checkUnrouted(x)
	}
	err = openapi3filter.ValidateResponse(x.request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: x.request, PathParams: parameters, Route: route},
		Status:                 x.status, Header: x.header, Body: io.NopCloser(bytes.NewReader(x.body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true, SchemaValidationOptions: answerOptions(),
		},
	})
	if err != nil {
		return err
	}
	return c.checkExtras(x, route.Operation.Responses.Status(x.status).Value)
}

// checkExtras refuses bodies and headers that the spec does not list.
func (c *contract) checkExtras(x exchange, response *openapi3.Response) error {
	if len(response.Content) == 0 && (len(x.body) > 0 || x.header.Get("Content-Type") != "") {
		return errors.New("a body where the document has none")
	}
	if c.behindProxy {
		return nil
	}
	for name, value := range always {
		if got := x.header.Get(name); got == "" || value != "" && got != value {
			return fmt.Errorf("the header %s is %q", name, got)
		}
	}
	// What says nothing of the operation is not listed.
	known := []string{"Connection", "Content-Length", "Content-Type", "Date"}
	for name := range response.Headers {
		known = append(known, http.CanonicalHeaderKey(name))
	}
	for name := range x.header {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the document does not list the header %s", name)
		}
	}
	return nil
}

// checkUnrouted checks responses to paths outside the spec: only their problems have a defined form.
func (c *contract) checkUnrouted(x exchange) error {
	if x.header.Get("Content-Type") != problemType || x.request.Method == http.MethodHead {
		return nil
	}
	var found any
	if err := json.Unmarshal(x.body, &found); err != nil {
		return err
	}
	return c.doc.Components.Schemas["Problem"].Value.VisitJSON(found, answerOptions()...)
}

const problemType = "application/problem+json"

// checkProblem compares a problem with the response that carries it.
func checkProblem(x exchange) error {
	if x.header.Get("Content-Type") != problemType || x.request.Method == http.MethodHead {
		return nil
	}
	var found api.Problem
	if err := json.Unmarshal(x.body, &found); err != nil {
		return err
	}
	if found.Status != x.status || found.Type != "/problems/"+string(found.Code) || found.RequestID != x.header.Get("X-Request-Id") {
		return fmt.Errorf("status %d carries the problem %+v", x.status, found)
	}
	return nil
}

// checkRequest compares a request that should be valid with the spec.
func (c *contract) checkRequest(x exchange) error {
	route, parameters, err := c.router.FindRoute(x.request)
	if err != nil {
		return nil //nolint:nilerr // the spec does not describe other paths
	}
	for name, value := range parameters {
		// The router leaves percent-escapes in parameters.
		if parameters[name], err = url.PathUnescape(value); err != nil {
			return fmt.Errorf("read the %s in the path: %w", name, err)
		}
	}
	request := x.request.Clone(x.request.Context())
	request.Body = io.NopCloser(bytes.NewReader(x.sent))
	return openapi3filter.ValidateRequest(request.Context(), &openapi3filter.RequestValidationInput{
		Request: request, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, MultiError: true, SchemaValidationOptions: requestOptions(),
		},
	})
}

func requestOptions() []openapi3.SchemaValidationOption {
	return []openapi3.SchemaValidationOption{
		openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(uuid.Validate)),
	}
}

// answerOptions adds a rule to requestOptions: every time in a response is in UTC, with milliseconds.
func answerOptions() []openapi3.SchemaValidationOption {
	return append(requestOptions(), openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(s string) error {
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", s); err != nil {
			return errors.New("is not a time in UTC with milliseconds, as RFC 3339 has it")
		}
		return nil
	})))
}
