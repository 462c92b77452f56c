// Package httpserver is the middleware that every HTTP request passes, for every operation: request ids, timeouts, the
// memory budget of bodies, validation against the spec, problem documents, idempotent replay and validation of our own
// responses. It knows no operation: entry points register theirs.
//
//   - server.go: [Server], its configuration, the middleware around every request
//   - routing.go: routes outside the spec, and paths that the router matches too loosely
//   - guard.go: the order of the checks on an operation's request
//   - body_budget.go: the limit on the bytes of all bodies in memory, and the share of each organization
//   - body_read.go: reading a body, and how fast it must arrive
//   - turns.go: the share of each organization in what large bodies and reads take
//   - deprecation.go: what the answers to a request say that uses something deprecated
//   - linger.go: discarding a body that is not read
//   - problems.go: errors become problem documents
//   - idempotency.go: requests repeated under an idempotency key
//   - accept.go: accepting messages, with or without an idempotency key
//   - validate_responses.go: our own responses validated against the spec
//   - observe.go: what metrics and traces receive
package httpserver

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/loglimit"
	"github.com/voostack/mailstack/impl/pressure"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/spec"
	"github.com/voostack/mailstack/impl/store"
)

// Acceptor accepts messages. *intake.Intake implements it.
type Acceptor interface {
	// AcceptOnce accepts the messages of a request, under its idempotency key if key is not nil.
	AcceptOnce(ctx context.Context, messages []intake.Message, key *intake.Idempotency) ([]intake.Result, error)
	// Full reports whether AcceptOnce would refuse a request of size bytes because its queue is full; several says that it may
	// have more messages than one. A negative size means that the length is unknown.
	Full(size int64, several bool) bool
}

// Authorizer authenticates and authorizes requests. *auth.Authenticator implements it.
type Authorizer interface {
	// Authorize returns the context of the operation, which holds the caller. If cached is true, the key may come
	// from a cache, because the transaction of the operation checks it again.
	Authorize(ctx context.Context, request *http.Request, response http.Header, scopes []string, cached bool) (context.Context, error)
	// Charge prices an authorized request by the number of its items.
	Charge(ctx context.Context, response http.Header, items int)
	// Revalidate checks a cached credential against the database.
	Revalidate(ctx context.Context) error
	// KeyErrorOr returns the error of Revalidate if there is one, else failure. It returns nil if failure is nil.
	KeyErrorOr(ctx context.Context, failure error) error
}

// Config holds the parts of a [Server]. Spec, Register, Store, Intake, Authorizer, Now, NewID, Sealer and Log are
// required.
type Config struct {
	// Spec is openapi.yaml, prepared.
	Spec *spec.Prepared
	// Register adds the operations of the spec to the router, each behind its middleware.
	Register func(router *echo.Echo, middleware map[string][]echo.MiddlewareFunc)
	// Routes are served outside the spec.
	Routes     []Route
	Store      *store.Store
	Intake     Acceptor
	Authorizer Authorizer
	Now        func() time.Time
	NewID      func() uuid.UUID
	// Sealer encrypts saved responses that show a secret.
	Sealer *sealed.Sealer
	Log    *slog.Logger
	// RequestTimeout bounds the handler after validation; then the response is 503. Zero means 15 seconds, more than
	// any operation needs.
	RequestTimeout time.Duration
	// ValidateResponses checks every response against the spec after it is written. Violations are logged and
	// counted, see [Server.InvalidResponses].
	ValidateResponses bool
	// BodyBudget limits the total size in bytes of the bodies of requests in flight. An organization holds at most half
	// of it. Zero means [DefaultBodyBudget].
	BodyBudget int64
	// BodyPace is how fast a body must arrive.
	BodyPace BodyPace
	// Observer receives what metrics need. Nil means none.
	Observer Observer
	// Tracer traces requests. Nil means none.
	Tracer Tracer
}

// Server handles HTTP requests.
type Server struct {
	config Config
	echo   *echo.Echo
	// methods holds the methods of each path without parameters, separated by commas.
	methods map[string]string
	bodies  *bodyBudget
	// processor and reads share processors and connections to the database among organizations.
	processor, reads *turns
	// refusals bounds the log lines of refused requests: an overloaded server refuses thousands a second.
	refusals *loglimit.Limiter
	draining atomic.Bool
	lameDuck atomic.Bool
	// routeMetrics holds the metrics of each route, unmatchedMetrics of all requests that match no operation.
	routeMetrics     map[routeKey]routeMetrics
	unmatchedMetrics routeMetrics
	// responses is nil if responses are not validated.
	responses *responseValidator
}

// readsPerProcessor is how many reads are at work at once: they wait for the database most of the time. While processors are
// short there is one for each, because with Postgres on the same machine every read takes a processor of its own.
const readsPerProcessor = 4

// refusalInterval is the least time between two log lines about requests refused for the same reason.
const refusalInterval = time.Second

// New makes a Server.
func New(config Config) (*Server, error) {
	if config.RequestTimeout <= 0 {
		config.RequestTimeout = DefaultRequestTimeout
	}
	if config.BodyBudget <= 0 {
		config.BodyBudget = DefaultBodyBudget
	}
	config.BodyPace = config.BodyPace.orDefaults()
	server := &Server{config: config, echo: echo.New(), bodies: newBodyBudget(config.BodyBudget), refusals: loglimit.New(refusalInterval)}
	// What takes processor time leaves half of the processors to everything else, and reads leave connections to it.
	server.processor = newTurns(max(1, runtime.GOMAXPROCS(0)/2))
	server.reads = newTurns(readsPerProcessor * runtime.GOMAXPROCS(0))
	server.reads.least, server.reads.pressure = runtime.GOMAXPROCS(0), pressure.New(time.Now).Look
	server.echo.HTTPErrorHandler = server.handleError
	server.echo.Use(server.assignRequestID, server.closeConnections, forbidSniffing)
	if config.Observer != nil || config.Tracer != nil {
		server.echo.Use(server.observe)
	}
	if config.ValidateResponses {
		var err error
		if server.responses, err = newResponseValidator(config.Spec); err != nil {
			return nil, err
		}
		server.echo.Use(server.validateResponses)
	}
	server.echo.Use(server.recoverPanic, server.strictRouting, server.refuseOptions, server.refuseWhileDraining)

	server.instrumentRoutes(config.Spec.Operations)
	middleware := make(map[string][]echo.MiddlewareFunc, len(config.Spec.Operations))
	for _, op := range config.Spec.Operations {
		middleware[op.ID] = []echo.MiddlewareFunc{forbidCaching, announceDeprecation(op), server.replay, server.guard(op), server.withTimeout, server.idempotent}
	}
	config.Register(server.echo, middleware)
	for _, route := range config.Routes {
		server.addRoute(route)
	}
	server.methods = methodsOf(server.echo.Routes())
	return server, nil
}

// ServeHTTP responds to one request.
func (server *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	server.echo.ServeHTTP(w, headAsGet(r))
}

// LameDuck makes the server not ready and has it close connections after their next response, while it answers everything.
func (server *Server) LameDuck() { server.lameDuck.Store(true) }

// IsLameDuck reports whether the server is about to stop.
func (server *Server) IsLameDuck() bool { return server.lameDuck.Load() }

// closeConnections tells clients of a server that is about to stop to make a new connection for their next request.
func (server *Server) closeConnections(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if server.lameDuck.Load() {
			c.Response().Header().Set("Connection", "close")
		}
		return next(c)
	}
}

// forbidSniffing has browsers take every answer for what it says it is: bodies repeat what clients sent.
func forbidSniffing(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("X-Content-Type-Options", "nosniff")
		return next(c)
	}
}

// forbidCaching keeps the answers of operations out of caches: they hold secrets or personal data, or say how things are at
// this moment. Problems of other routes get the same from writeProblem.
func forbidCaching(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		return next(c)
	}
}

// Drain makes the server refuse new work with 503, while requests in flight finish.
func (server *Server) Drain() { server.draining.Store(true) }

func (server *Server) refuseWhileDraining(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		routed := c.Path() != "" && c.Get(echo.ContextKeyHeaderAllow) == nil
		if server.draining.Load() && routed && c.Path() != "/healthz" {
			return &problem.Problem{
				Code: api.ProblemCodeDraining, Detail: "This server is shutting down; try again.", RetryAfter: 1,
			}
		}
		return next(c)
	}
}

// refuseOptions replaces the router's own response to OPTIONS with 405: no operation of the spec has that method.
func (server *Server) refuseOptions(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method == http.MethodOptions && c.Get(echo.ContextKeyHeaderAllow) != nil {
			return echo.ErrMethodNotAllowed
		}
		return next(c)
	}
}

// withTimeout bounds the work of an operation. The time starts after the guard, because a large body may take
// longer to arrive.
func (server *Server) withTimeout(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), server.config.RequestTimeout)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// recoverPanic turns a panic into an error, which is logged and not shown to the client.
func (server *Server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if caught := recover(); caught != nil {
				err = fmt.Errorf("panic: %v\n%s", caught, debug.Stack())
			}
		}()
		return next(c)
	}
}

// RequestIDHeader is the header field that carries the request id.
const RequestIDHeader = "X-Request-Id"

// assignRequestID gives every request an id: the client's if it is well-formed, else a new one.
func (server *Server) assignRequestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(RequestIDHeader)
		if !wellFormedID(id) {
			id = server.config.NewID().String()
		}
		c.Response().Header().Set(RequestIDHeader, id)
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(RequestIDHeader) }

func wellFormedID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, r := range id {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && r != '.' && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// log returns a logger that names the request by its id, method and route pattern. It never logs the URL, which
// may hold private data such as an address.
func (server *Server) log(c echo.Context) *slog.Logger {
	return server.config.Log.With(
		slog.String("requestId", requestID(c)),
		slog.String("method", c.Request().Method),
		slog.String("route", c.Path()),
	)
}
