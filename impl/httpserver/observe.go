package httpserver

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/impl/spec"
)

// Observer receives metrics about responses. Its functions are called concurrently, for every request, and must be
// quick.
type Observer interface {
	// Operation returns the function to call after each response of that operation. The status is 499 if the client
	// has gone.
	Operation(id string) func(status int, took time.Duration)
	// Problem is called with the code of every response that is a problem.
	Problem(code string)
}

// Tracer traces requests.
type Tracer interface {
	// Request starts the span of a request to an operation. The function that it returns ends the span.
	Request(ctx context.Context, header http.Header, operation string) (context.Context, func(status int))
}

const (
	// operationOther is the operation name of requests that match no operation of the spec.
	operationOther = "other"
	// statusClientClosedRequest stands for a client that did not wait for its response, as in the logs of other
	// servers.
	statusClientClosedRequest = 499
	// clientClosedKey marks the requests of such clients in the echo context.
	clientClosedKey = "client gone"
)

// routeMetrics holds the operation of a route and the function to call after each of its responses.
type routeMetrics struct {
	operation string
	answered  func(status int, took time.Duration)
}

// routeKey identifies a route of the router.
type routeKey struct{ method, path string }

// instrumentRoutes gets the observer's function of every operation in advance, so that a request finds its own by
// the route.
func (server *Server) instrumentRoutes(operations []*spec.Operation) {
	observer := server.config.Observer
	if observer == nil {
		observer = noopObserver{}
	}
	server.routeMetrics = make(map[routeKey]routeMetrics, len(operations)+1)
	for _, op := range operations {
		server.routeMetrics[routeKey{op.Method, asRoute(op.Path)}] = routeMetrics{op.ID, observer.Operation(op.ID)}
	}
	for _, route := range server.config.Routes {
		if route.Operation != "" {
			server.routeMetrics[routeKey{route.Method, route.Path}] = routeMetrics{route.Operation, observer.Operation(route.Operation)}
		}
	}
	server.unmatchedMetrics = routeMetrics{operationOther, observer.Operation(operationOther)}
}

// observe is the middleware that reports every response to the observer and the tracer.
func (server *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		known, found := server.routeMetrics[routeKey{c.Request().Method, c.Path()}]
		if !found {
			known = server.unmatchedMetrics
		}
		ended := func(int) {}
		if tracer := server.config.Tracer; tracer != nil && found {
			var ctx context.Context
			ctx, ended = tracer.Request(c.Request().Context(), c.Request().Header, known.operation)
			c.SetRequest(c.Request().WithContext(ctx))
		}
		if err := next(c); err != nil {
			server.handleError(err, c)
		}
		status := c.Response().Status
		if gone, _ := c.Get(clientClosedKey).(bool); gone || !c.Response().Committed {
			status = statusClientClosedRequest
		}
		ended(status)
		known.answered(status, time.Since(began))
		return nil
	}
}

// noopObserver is used if no observer is given.
type noopObserver struct{}

func (noopObserver) Operation(string) func(int, time.Duration) { return func(int, time.Duration) {} }
func (noopObserver) Problem(string)                            {}
