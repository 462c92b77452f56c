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

// maxValidatedBody is the largest response body that is validated. Of a larger one only the status and headers
// are.
const maxValidatedBody = 1 << 20

// responseValidator checks the server's own responses against the spec after they are written, so no finding
// changes what the client gets. A check costs some tens of microseconds, or some milliseconds for a list of a
// hundred domains.
type responseValidator struct {
	routes  map[string]*routers.Route
	options []openapi3.SchemaValidationOption
	invalid atomic.Int64
}

// newResponseValidator returns a validator with the closed copy of the spec.
func newResponseValidator(prepared *spec.Prepared) (*responseValidator, error) {
	doc, err := prepared.Closed()
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
		}
	}
	return w, nil
}

// asRoute returns a path of the spec in the router's notation.
func asRoute(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// InvalidResponses returns how many responses broke the spec. It is 0 unless [Config.ValidateResponses] is set.
func (server *Server) InvalidResponses() int64 {
	if server.responses == nil {
		return 0
	}
	return server.responses.invalid.Load()
}

// validateResponses is the middleware that checks every response against the spec.
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

// misrouted reports whether the router matched an operation that the path or the method does not belong to.
func misrouted(c echo.Context) bool {
	return c.Get(echo.ContextKeyHeaderAllow) != nil || !fits(c.Path(), echo.GetPath(c.Request()))
}

// check validates a response. It recovers from panics, so that the validator never breaks a response in flight.
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

// withoutValues returns what is wrong and where, and repeats no value of the body.
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

// teeWriter keeps a copy of what is written, up to maxValidatedBody.
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

// Unwrap returns the underlying writer. [http.ResponseController] calls it.
func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
