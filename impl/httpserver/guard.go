package httpserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/spec"
)

// guard is the middleware of one operation. Behind it the caller has a valid key with a required scope, and the
// request matches the spec. The order of the checks is part of the contract: a full accept queue is found before
// anything is read, a full body budget when the body declares its size and while it arrives.
func (server *Server) guard(op *spec.Operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if !op.Secured {
				return server.validateAndCall(op, c, next)
			}
			request := c.Request()
			if op.Accepts && server.config.Intake.Full(request.ContentLength, op.Body.HasItems()) {
				full := acceptQueueFull()
				full.BodyUnread = true
				return full
			}
			ctx, err := server.config.Authorizer.Authorize(request.Context(), request, c.Response().Header(), op.Scopes, op.Accepts)
			if err != nil {
				return err
			}
			c.SetRequest(request.WithContext(ctx))
			err = server.validateAndCall(op, c, next)
			if errors.Is(err, intake.ErrOverloaded) {
				return err // an overloaded server does not look up the key again
			}
			if err == nil {
				return nil
			}
			// The operation's own context has ended by now, so use the one from before it.
			return server.keyErrorOr(ctx, err)
		}
	}
}

// keyErrorOr returns err, or why the key of the request is no longer valid. It reads the key, in turn with other reads. A
// client that has closed its half of the connection, which ends ctx, may still read the response.
func (server *Server) keyErrorOr(ctx context.Context, err error) error {
	waiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), server.config.RequestTimeout)
	defer cancel()
	release, full := server.reads.take(waiting, auth.CallerFromContext(ctx).OrganizationID)
	if full != nil {
		return full
	}
	defer release()
	return server.config.Authorizer.KeyErrorOr(ctx, err)
}

// validateAndCall validates the request against the spec, then calls next. The body's media type and size are
// checked before any schema, also before the schemas of the path.
func (server *Server) validateAndCall(op *spec.Operation, c echo.Context, next echo.HandlerFunc) error {
	var body []byte
	if op.Body != nil {
		if err := op.Body.CheckHeader(c.Request()); err != nil {
			return err
		}
		caller := auth.CallerFromContext(c.Request().Context())
		reservation, err := server.bodies.open(caller.OrganizationID, c.Request().ContentLength)
		if err != nil {
			return err
		}
		defer reservation.release()
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), bodyReservationKey{}, reservation)))
		if body, err = server.readBody(op, c, reservation); err != nil {
			return err
		}
		own := server.turnOf(c, server.processor)
		defer own.end()
		c.SetRequest(c.Request().WithContext(context.WithValue(c.Request().Context(), turnKey{}, own)))
		if len(body) >= largeBody {
			if err := own.begin(c.Request().Context()); err != nil {
				return err
			}
		}
		if err = server.validateBody(op, c, body); err != nil {
			return err
		}
		if !op.Accepts {
			endTurn(c.Request().Context())
		}
	}
	if err := op.CheckParameters(c.Request(), pathValues(c)); err != nil {
		return err
	}
	if op.Secured && op.Method == http.MethodGet {
		own := server.turnOf(c, server.reads)
		if err := own.begin(c.Request().Context()); err != nil {
			return err
		}
		defer own.end()
	}
	attachIdempotencyKey(op, c, body)
	return next(c)
}

// pathValues returns the path parameters as the generated handler reads them. Where the sent path differs from
// Go's encoding of it (URL.RawPath is set), the router matches and returns the path as sent.
func pathValues(c echo.Context) map[string]string {
	values := make(map[string]string, len(c.ParamNames()))
	for i, name := range c.ParamNames() {
		value := c.ParamValues()[i]
		if c.Request().URL.RawPath != "" {
			// This cannot fail, because net/http has unescaped the whole path before.
			value, _ = url.PathUnescape(value)
		}
		values[name] = value
	}
	return values
}

type itemProblemsKey struct{}

// ItemProblemsFromContext returns the problems of the request's items that broke the schema, by index.
func ItemProblemsFromContext(ctx context.Context) map[int]*problem.Problem {
	found, _ := ctx.Value(itemProblemsKey{}).(map[int]*problem.Problem)
	return found
}

// readBody reads the body of a request to op.
func (server *Server) readBody(op *spec.Operation, c echo.Context, reservation *bodyReservation) ([]byte, error) {
	raw, err := readBody(c.Response(), c.Request(), op.Body.Limit, reservation, server.config.BodyPace)
	if IsBodyTooLarge(err) {
		return nil, op.Body.TooLarge()
	}
	return raw, err
}

// validateBody decodes and validates a body. It leaves the decoded value for the handler to bind.
func (server *Server) validateBody(op *spec.Operation, c echo.Context, raw []byte) error {
	request, rules := c.Request(), op.Body
	value, plain := rules.Accept(raw)
	var err error
	if !plain {
		if value, err = spec.Decode(raw); err != nil {
			return err
		}
	}
	deprecate(c, op.DeprecationsIn(value))
	if op.Secured {
		server.config.Authorizer.Charge(request.Context(), c.Response().Header(), rules.Items(value))
	}
	var items map[int]*problem.Problem
	if !plain {
		if items, err = rules.Validate(value, raw); err != nil {
			return err
		}
	}
	if items != nil {
		request = request.WithContext(context.WithValue(request.Context(), itemProblemsKey{}, items))
	}
	request.Body = validatedBody{ReadCloser: http.NoBody, value: value}
	// The generated handler of an operation that takes several media types binds by this field, and compares it as text.
	request.Header.Set("Content-Type", "application/json")
	c.SetRequest(request)
	return nil
}

// validatedBody passes the validated value to the generated handler, which binds that very value.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue returns the value. The generated handler calls it.
func (body validatedBody) ValidatedValue() any { return body.value }
