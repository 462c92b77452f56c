package httpserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/spec"
)

// guard is the middleware of one operation: whoever gets past it is a known key with the scope, and what it sent is
// what the spec allows. The order of its checks is part of the contract: that no more messages may wait is known
// before anything is read; that no more bodies may be in memory when the size of this one is, right before it is read.
func (server *Server) guard(op *spec.Operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !op.Secured {
				return server.validateAndCall(op, c, next)
			}
			request := c.Request()
			if op.Accepts && server.config.Intake.Full(request.ContentLength) {
				full := acceptQueueFull()
				full.BodyUnread = true
				return full
			}
			ctx, err := server.config.Authorizer.Authorize(request.Context(), request.Header, c.Response().Header(), op.Scopes, op.Accepts)
			if err != nil {
				return err
			}
			c.SetRequest(request.WithContext(ctx))
			err = server.validateAndCall(op, c, next)
			if errors.Is(err, intake.ErrOverloaded) {
				return err // where too much waits already, no look-up is added to it
			}
			// The context that the operation works under has ended by the time that it has failed.
			return server.config.Authorizer.KeyErrorOr(ctx, err)
		}
	}
}

// validateAndCall calls next with what the spec allows. The body's type and size come before any shape, the path's
// included.
func (server *Server) validateAndCall(op *spec.Operation, c echo.Context, next echo.HandlerFunc) error {
	var body []byte
	if op.Body != nil {
		if err := op.Body.CheckHeader(c.Request()); err != nil {
			return err
		}
		reservation, err := server.bodies.reserve(sizeOf(c.Request(), op.Body.Limit))
		if err != nil {
			return err
		}
		defer reservation.release()
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), bodyReservationKey{}, reservation)))
		if body, err = validateBody(op.Body, c, reservation); err != nil {
			return err
		}
	}
	if err := op.CheckParameters(c.Request(), pathValues(c)); err != nil {
		return err
	}
	attachIdempotencyKey(op, c, body)
	return next(c)
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

type itemProblemsKey struct{}

// ItemProblemsFromContext returns the items of the request that broke the schema, by index.
func ItemProblemsFromContext(ctx context.Context) map[int]*problem.Problem {
	found, _ := ctx.Value(itemProblemsKey{}).(map[int]*problem.Problem)
	return found
}

// validateBody reads, decodes and validates the body, and leaves the value for the handler to bind. It returns the bytes.
func validateBody(rules *spec.Body, c echo.Context, reservation *bodyReservation) ([]byte, error) {
	request := c.Request()
	raw, err := rules.Read(c.Response(), request)
	if err != nil {
		return nil, err
	}
	reservation.shrinkTo(int64(len(raw)))
	value, err := spec.Decode(raw)
	if err != nil {
		return nil, err
	}
	items, err := rules.Validate(value, raw)
	if err != nil {
		return nil, err
	}
	if items != nil {
		request = request.WithContext(context.WithValue(request.Context(), itemProblemsKey{}, items))
	}
	request.Body = validatedBody{ReadCloser: http.NoBody, value: value}
	c.SetRequest(request)
	return raw, nil
}

// validatedBody hands the value that was validated to the generated handler, which binds that very value.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue is what the generated handler looks for.
func (body validatedBody) ValidatedValue() any { return body.value }
