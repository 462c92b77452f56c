package impl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
)

const (
	// maxErrors and maxDetail bound what an answer repeats of a request that is wrong in many places.
	maxErrors = 100
	maxDetail = 300
)

// guard is the middleware of one operation: whoever gets past it is a known key with the scope, and what it sent is
// what the document allows. The order of its checks is part of the contract: that no more messages may wait is known
// before anything is read; that no more bodies may be in memory when the size of this one is, right before it is read.
func (server *Server) guard(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !op.secured {
				return server.validated(op, c, next)
			}
			if op.accepts && server.config.Intake.Full(c.Request().ContentLength) {
				full := queueFull()
				full.unread = true
				return full
			}
			// The one that the operation works under has ended by the time that it has failed.
			ctx := c.Request().Context()
			key, err := server.admit(c, op)
			if err != nil {
				return server.recheckRefused(ctx, key, err)
			}
			return server.recheckBefore(ctx, key, server.validated(op, c, next))
		}
	}
}

// validated calls next with what the document allows. The body's type and size come before any shape, the path's
// included.
func (server *Server) validated(op *operation, c echo.Context, next echo.HandlerFunc) error {
	var body []byte
	if op.body != nil {
		if err := op.body.check(c.Request()); err != nil {
			return err
		}
		space, err := server.bodies.take(sizeOf(c.Request(), op.body.limit))
		if err != nil {
			return err
		}
		defer space.release()
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), heldKey{}, space)))
		if body, err = op.validateBody(c, space); err != nil {
			return err
		}
	}
	if err := op.validateParameters(c); err != nil {
		return err
	}
	op.claim(c, body)
	return next(c)
}

// validateParameters looks at the parameters in the path, the query and the header.
func (op *operation) validateParameters(c echo.Context) error {
	if len(op.parameters) == 0 {
		return nil
	}
	if err := op.checkQuery(c.Request().URL.RawQuery); err != nil {
		return err
	}
	input := &openapi3filter.RequestValidationInput{
		Request:    c.Request(),
		PathParams: pathValues(c),
		Route:      &routers.Route{Path: op.path, Method: op.method, Operation: op.spec},
		Options: &openapi3filter.Options{
			RegexCompiler:           compilePattern,
			SchemaValidationOptions: op.parameterOptions,
		},
	}
	for _, parameter := range op.parameters {
		if parameter.Value.In == "header" {
			if err := checkHeader(c.Request().Header, parameter.Value); err != nil {
				return err
			}
		}
		if err := openapi3filter.ValidateParameter(c.Request().Context(), input, parameter.Value); err != nil {
			return &problem{
				code:   api.ProblemCodeValidationFailed,
				detail: fmt.Sprintf("The %s in the %s %s.", parameter.Value.Name, parameter.Value.In, parameterFault(err)),
			}
		}
	}
	return nil
}

// checkHeader refuses a field that is given twice or without a value.
func checkHeader(header http.Header, parameter *openapi3.Parameter) error {
	values := header.Values(parameter.Name)
	if len(values) > 1 || len(values) == 1 && values[0] == "" {
		return &problem{
			code: api.ProblemCodeValidationFailed, detail: "The " + parameter.Name + " in the header is empty or given twice.",
		}
	}
	return nil
}

// pathValues are the parameters in the path, as the generated handler reads them: the router matches, and hands over,
// the path as it was sent wherever that differs from how Go would write it.
func pathValues(c echo.Context) map[string]string {
	values := make(map[string]string, len(c.ParamNames()))
	for i, name := range c.ParamNames() {
		value := c.ParamValues()[i]
		if c.Request().URL.RawPath != "" {
			// The whole path has been unescaped before: its parts can be.
			value, _ = url.PathUnescape(value)
		}
		values[name] = value
	}
	return values
}

func parameterFault(err error) string {
	var fault *openapi3.SchemaError
	if errors.As(err, &fault) && fault.Schema != nil && fault.Schema.Format == "uuid" {
		return "is not a UUID"
	}
	return "is not valid"
}

// validateBody reads, decodes and validates the body, and leaves the value for the handler to bind. It returns the bytes.
func (op *operation) validateBody(c echo.Context, space *held) ([]byte, error) {
	request := c.Request()
	raw, err := op.body.read(c.Response(), request)
	if err != nil {
		return nil, err
	}
	space.shrink(int64(len(raw)))
	value, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if op.body.each != nil {
		request, err = op.body.validateItems(request, value, raw)
	} else {
		err = op.body.validate(value)
	}
	if err != nil {
		return nil, err
	}
	request.Body = validatedBody{ReadCloser: http.NoBody, value: value}
	c.SetRequest(request)
	return raw, nil
}

func (rules *bodyRules) validate(value any) error {
	return schemaProblem(rules.schema.VisitJSON(value, rules.options...))
}

// schemaProblem turns what the schema says into pointers and sentences.
func schemaProblem(err error) error {
	if err == nil {
		return nil
	}
	found := schemaErrors(nil, err)
	if len(found) == 0 {
		return fmt.Errorf("validate the body: %w", err)
	}
	return &problem{code: api.ProblemCodeValidationFailed, detail: found[0].Detail, errors: found}
}

func schemaErrors(found []api.ProblemError, err error) []api.ProblemError {
	if several, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, one := range several {
			if len(found) >= maxErrors {
				break
			}
			found = schemaErrors(found, one)
		}
		return found
	}
	if fault, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		found = append(found, api.ProblemError{Pointer: clip(pointerOf(fault)), Detail: clip(faultDetail(fault))})
	}
	return found
}

func pointerOf(fault *openapi3.SchemaError) string {
	var pointer strings.Builder
	for _, step := range fault.JSONPointer() {
		pointer.WriteString("/" + escapePointer(step))
	}
	if name, unknown := unknownMember(fault); unknown {
		pointer.WriteString("/" + escapePointer(name))
	}
	return pointer.String()
}

// unknownMember finds the name that the library gives only in its sentence, quoted as Go does.
func unknownMember(fault *openapi3.SchemaError) (string, bool) {
	if fault.SchemaField != "properties" {
		return "", false
	}
	quoted, found := strings.CutPrefix(fault.Reason, "property ")
	if !found {
		return "", false
	}
	name, err := strconv.Unquote(strings.TrimSuffix(quoted, " is unsupported"))
	return name, err == nil
}

// escapePointer writes a name as RFC 6901 has it.
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func faultDetail(fault *openapi3.SchemaError) string {
	if name, unknown := unknownMember(fault); unknown {
		return fmt.Sprintf("property %q is unknown", name)
	}
	switch fault.SchemaField {
	case "pattern":
		if fault.Schema.Pattern == headerPattern || fault.Schema.Pattern == bodyPattern {
			return "holds a control character"
		}
	case "format":
		if cause := errors.Unwrap(fault); cause != nil {
			return cause.Error()
		}
	}
	return fault.Reason
}

// clip bounds what is repeated of a request.
func clip(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	end := maxDetail
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
