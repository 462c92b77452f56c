package httpserver

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/impl/spec"
)

// Observer is told what was answered. Its functions are called concurrently, for every request, and must be quick.
type Observer interface {
	// Operation returns what is told of every request of an operation once it is answered: 499 where the client had gone.
	Operation(id string) func(status int, took time.Duration)
	// Problem is told the code of every answer that is a problem.
	Problem(code string)
}

// Tracer follows requests.
type Tracer interface {
	// Request begins the span of a request to an operation; the function that it returns ends it.
	Request(ctx context.Context, header http.Header, operation string) (context.Context, func(status int))
}

const (
	// operationOther is what requests count as that belong to no operation of the spec.
	operationOther = "other"
	// statusClientClosedRequest is what others log, too, for a client that did not wait for its answer.
	statusClientClosedRequest = 499
	// clientClosedKey marks the exchanges of such clients.
	clientClosedKey = "client gone"
)

// routeMetrics is what is told of one operation.
type routeMetrics struct {
	operation string
	answered  func(status int, took time.Duration)
}

// routeKey is a route of the router.
type routeKey struct{ method, path string }

// instrumentRoutes prepares the observer for every operation, so that a request finds its own by the route.
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

// observe is the middleware around everything that answers, for those who watch.
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

// noopObserver is used where no observer was given.
type noopObserver struct{}

func (noopObserver) Operation(string) func(int, time.Duration) { return func(int, time.Duration) {} }
func (noopObserver) Problem(string)                            {}
