package impl

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
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
	// operationOther is what requests count as that belong to no operation of the document.
	operationOther = "other"
	// operationNotifications is what SNS posts.
	operationNotifications = "receiveNotification"
	// statusGone is what others log, too, for a client that did not wait for its answer.
	statusGone = 499
	// goneKey marks the exchanges of such clients.
	goneKey = "client gone"
)

// watched is what is told of one operation.
type watched struct {
	operation string
	answered  func(status int, took time.Duration)
}

// routeKey is a route of the router.
type routeKey struct{ method, path string }

// watchRequests prepares the observer for every operation, so that a request finds its own by the route.
func (server *Server) watchRequests(operations []*operation) {
	observer := server.config.Observer
	if observer == nil {
		observer = nobody{}
	}
	server.watched = make(map[routeKey]watched, len(operations)+1)
	for _, op := range operations {
		server.watched[routeKey{op.method, asRoute(op.path)}] = watched{op.id, observer.Operation(op.id)}
	}
	if at := server.config.Notifications; at.Verifier != nil {
		server.watched[routeKey{http.MethodPost, at.Path}] = watched{
			operationNotifications, observer.Operation(operationNotifications),
		}
	}
	server.unnamed = watched{operationOther, observer.Operation(operationOther)}
}

// observe is the middleware around everything that answers, for those who watch.
func (server *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		known, found := server.watched[routeKey{c.Request().Method, c.Path()}]
		if !found {
			known = server.unnamed
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
		if gone, _ := c.Get(goneKey).(bool); gone || !c.Response().Committed {
			status = statusGone
		}
		ended(status)
		known.answered(status, time.Since(began))
		return nil
	}
}

// nobody watches.
type nobody struct{}

func (nobody) Operation(string) func(int, time.Duration) { return func(int, time.Duration) {} }
func (nobody) Problem(string)                            {}
