package httpserver

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/spec"
)

// maxValidatedBody is how much of an answer is kept to be validated. Of a larger one only status and headers are.
const maxValidatedBody = 1 << 20

// responseValidator holds the server's own answers against the document, once they are written. Whatever it finds, the client has
// its answer. An answer costs some tens of microseconds, a list of a hundred domains some milliseconds.
type responseValidator struct {
	routes  map[string]*routers.Route
	options []openapi3.SchemaValidationOption
	invalid atomic.Int64
}

// newResponseValidator prepares a copy of the document in which every answer is closed: a member that it does not list is as wrong
// as one that is missing.
func newResponseValidator(source []byte) (*responseValidator, error) {
	doc, err := spec.Load(source)
	if err != nil {
		return nil, err
	}
	w := &responseValidator{
		routes:  make(map[string]*routers.Route),
		options: append(doc.GetSchemaValidationOptions(), openapi3.SetSchemaRegexCompiler(spec.CompilePattern)),
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			w.routes[method+" "+asRoute(path)] = &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: operation}
			for _, response := range operation.Responses.Map() {
				for _, media := range response.Value.Content {
					closeSchema(media.Schema)
				}
			}
		}
	}
	return w, nil
}

// asRoute writes a path of the document as the router has it.
func asRoute(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
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

// InvalidResponses is how many answers broke the document. Only a server that was told to validate them counts.
func (server *Server) InvalidResponses() int64 {
	if server.responses == nil {
		return 0
	}
	return server.responses.invalid.Load()
}

// validateResponses is the middleware around everything that answers.
func (server *Server) validateResponses(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		kept := &teeWriter{ResponseWriter: c.Response().Writer}
		c.Response().Writer = kept
		if err := next(c); err != nil {
			server.handleError(err, c)
		}
		c.Response().Writer = kept.ResponseWriter
		route := server.responses.routes[c.Request().Method+" "+c.Path()]
		if route == nil || !c.Response().Committed || misrouted(c) {
			return nil
		}
		if err := server.responses.check(c, route, kept); err != nil {
			server.responses.invalid.Add(1)
			server.log(c).LogAttrs(c.Request().Context(), slog.LevelError, "response breaks the spec",
				slog.String("operation", route.Operation.OperationID), slog.Int("status", c.Response().Status),
				slog.String("error", withoutValues(err)))
		}
		return nil
	}
}

// misrouted tells whether the router took a path for an operation's that is none of it.
func misrouted(c echo.Context) bool {
	return c.Get(echo.ContextKeyHeaderAllow) != nil || !fits(c.Path(), echo.GetPath(c.Request()))
}

// check never breaks an answer that is under way, whatever it is made of.
func (w *responseValidator) check(c echo.Context, route *routers.Route, kept *teeWriter) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the answer cannot be validated")
		}
	}()
	return openapi3filter.ValidateResponse(c.Request().Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: c.Request(), Route: route},
		Status:                 c.Response().Status, Header: c.Response().Header(), Body: io.NopCloser(&kept.body),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: kept.overflown, SchemaValidationOptions: w.options,
		},
	})
}

// withoutValues says what is wrong and where, and repeats no value of the body.
func withoutValues(err error) string {
	broken, ok := errors.AsType[*openapi3filter.ResponseError](err)
	if !ok {
		return err.Error()
	}
	found := []string{broken.Reason}
	for _, fault := range faultsOf(nil, broken.Err) {
		found = append(found, problem.Truncate(spec.Pointer(fault)+" breaks "+fault.SchemaField))
	}
	return strings.Join(found, "; ")
}

func faultsOf(found []*openapi3.SchemaError, err error) []*openapi3.SchemaError {
	if several, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, one := range several {
			if len(found) < problem.MaxErrors {
				found = faultsOf(found, one)
			}
		}
		return found
	}
	if fault, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		found = append(found, fault)
	}
	return found
}

// teeWriter keeps what is written, up to maxValidatedBody.
type teeWriter struct {
	http.ResponseWriter
	body      bytes.Buffer
	overflown bool
}

func (w *teeWriter) Write(p []byte) (int, error) {
	if w.overflown = w.overflown || w.body.Len()+len(p) > maxValidatedBody; !w.overflown {
		w.body.Write(p)
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap is what http.ResponseController looks for.
func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
