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

// contract is the document as the judge of exchanges. Its copy of every answer is closed: a member or a header that the
// document does not list is as wrong as one that is missing.
type contract struct {
	doc    *openapi3.T
	router routers.Router
	// behindProxy lets headers pass that the document does not list: whoever stands before a server adds some.
	behindProxy bool
}

// exchange is a request with its answer.
type exchange struct {
	request *http.Request
	sent    []byte
	status  int
	header  http.Header
	body    []byte
}

// cell is one operation answering with one status.
type cell struct {
	operation string
	status    int
}

// sharedContract judges for all tests of the process; it is only read.
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
	doc, err := openapi3.NewLoader().LoadFromData(source)
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

// openItems takes the items out of a request whose items are judged one by one: a wrong one does not make it wrong.
func openItems(_ string, schema *openapi3.Schema) {
	if schema.Extensions["x-validate-items"] == "each" {
		schema.Items = openapi3.NewSchemaRef("", openapi3.NewSchema().WithNullable())
	}
}

// cells are all that the document promises. 500 is none: it is there for clients to decode, and never to be seen.
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

// cellOf is the cell that an exchange belongs to; none for paths outside the document.
func (c *contract) cellOf(x exchange) (cell, bool) {
	route, _, err := c.router.FindRoute(x.request)
	if err != nil {
		return cell{}, false
	}
	return cell{route.Operation.OperationID, x.status}, true
}

// checkAnswer holds an answer against the document.
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

// checkExtras refuses what the document does not list beside the members of a body.
func (c *contract) checkExtras(x exchange, response *openapi3.Response) error {
	if len(response.Content) == 0 && (len(x.body) > 0 || x.header.Get("Content-Type") != "") {
		return errors.New("a body where the document has none")
	}
	if c.behindProxy {
		return nil
	}
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

// checkUnrouted is about answers to what the document does not know: only their problems have a form.
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

// checkProblem holds a problem against the answer that carries it.
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

// checkRequest holds a request that should be valid against the document.
func (c *contract) checkRequest(x exchange) error {
	route, parameters, err := c.router.FindRoute(x.request)
	if err != nil {
		return nil //nolint:nilerr // what the document does not know it does not describe
	}
	for name, value := range parameters {
		// The router leaves escapes as they are.
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

// answerOptions know one more rule: every time in an answer is in UTC.
func answerOptions() []openapi3.SchemaValidationOption {
	return append(requestOptions(), openapi3.WithStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(s string) error {
		if _, err := time.Parse(time.RFC3339, s); err != nil || s[len(s)-1] != 'Z' {
			return errors.New("is not a time in UTC as RFC 3339 has it")
		}
		return nil
	})))
}
