// Package impl is the API: the operations of openapi.yaml over HTTP.
//
//   - server.go: the parts, the middleware around every request; routes.go: what is served outside the document
//   - spec.go, pattern.go: the document, made ready for validating
//   - validate.go, validate_items.go, body.go: the guard of every operation and the reading of bodies; bodies.go: how many
//     bytes of them there may be at once
//   - auth.go, remembered.go, rate.go, last_used.go: keys, scopes, rate
//   - problem.go, problem_kinds.go, problem_page.go: errors and their answers
//   - idempotency.go: requests that are repeated under an idempotency key
//   - validate_responses.go: the server's own answers, held against the document
//   - observe.go: what is told to those who watch
//   - page.go: what all lists share
//   - notifications.go: what SES reports, through SNS
//   - emails.go with compose.go, email_list.go and email_events.go, templates.go with template_edit.go and
//     template_preview.go, domains.go, api_keys.go, suppressions.go, webhooks.go with deliveries.go, billing.go, health.go:
//     the operations, a file per tag
//   - docs.go: the API reference as a page; guide.go: the guide to webhooks
//
// The rooms below it: intake accepts mail, idempotency keeps repeated requests from doing their work twice, domain proves sending domains, dispatch does what is due, store is Postgres,
// ses is Amazon SES and sessim its simulator, sns tells what SES really reports from what others say, dns looks records
// up, webhook posts events, mail, token, billing and template are rules without I/O.
package impl

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
)

// Acceptor takes messages in; *intake.Intake does.
type Acceptor interface {
	// AcceptOnce takes the messages of a request, under its idempotency key where claim is not nil.
	AcceptOnce(ctx context.Context, messages []intake.Message, claim *intake.Claim) ([]intake.Result, error)
	// Full tells that a request of so many bytes, negative where nobody knows, would only be refused.
	Full(size int64) bool
}

// Config holds the parts of a [Server].
type Config struct {
	// Document is openapi.yaml, as it is in the repository.
	Document []byte
	Store    *store.Store
	Intake   Acceptor
	Domains  *domain.Service
	// AccountSuppressions is Amazon SES.
	AccountSuppressions AccountSuppressions
	Now                 func() time.Time
	NewID               func() uuid.UUID
	Random              io.Reader
	// Sealer authenticates the cursors of lists, and encrypts the signing keys of webhooks.
	Sealer *sealed.Sealer
	// Webhooks says which URLs webhooks may have.
	Webhooks webhook.Policy
	Log      *slog.Logger
	// RequestsPerSecond limits each key in this process, with bursts of twice as many; 0 is no limit.
	RequestsPerSecond float64
	// Patience is how long a request may take from the moment it is understood, and its key's look-up before; then its
	// answer is 503. 0: 15 seconds, more than any operation needs.
	Patience time.Duration
	// ValidateResponses holds every answer against the document, once it is written: what breaks it is logged and
	// counted, see [Server.InvalidResponses].
	ValidateResponses bool
	// Notifications is where SES reports what became of messages.
	Notifications Notifications
	// Bodies is how many bytes the bodies of requests under way may take up together; a request beyond them is refused
	// before its body is read. 0: [DefaultBodies].
	Bodies int64
	// Observer is told what was answered. nil: nobody is.
	Observer Observer
	// Tracer follows requests. nil: nobody does.
	Tracer Tracer
	// Extra are routes that only some ways of running have, such as the inbox of dev.
	Extra []Route
}

// Server answers the API's requests.
type Server struct {
	config Config
	echo   *echo.Echo
	// methods are those of every path without parameters, separated by commas.
	methods  map[string]string
	rates    *rates
	lastUsed lastUsed
	// remembered spares requests to send the look-up of their key.
	remembered remembered
	bodies     bodies
	// posted are those of notifications.
	posted   bodies
	draining atomic.Bool
	// watched says what is told of the requests of each route, and unnamed of those of no operation.
	watched map[routeKey]watched
	unnamed watched
	// watch is nil where answers are not validated.
	watch *watch
}

var _ api.StrictServerInterface = (*Server)(nil)

// New makes a Server. It fails when the document does not fit it.
func New(config Config) (*Server, error) {
	if config.Patience <= 0 {
		config.Patience = 15 * time.Second
	}
	if config.Bodies <= 0 {
		config.Bodies = DefaultBodies
	}
	server := &Server{config: config, echo: echo.New(), rates: newRates(config.RequestsPerSecond)}
	server.bodies.limit, server.posted.limit = config.Bodies, postedBytes
	var err error
	if server.remembered, err = newRemembered(); err != nil {
		return nil, err
	}
	server.echo.HTTPErrorHandler = server.handleError
	server.echo.Use(server.identify)
	if config.Observer != nil || config.Tracer != nil {
		server.echo.Use(server.observe)
	}
	if config.ValidateResponses {
		if server.watch, err = newWatch(config.Document); err != nil {
			return nil, err
		}
		server.echo.Use(server.validateResponses)
	}
	server.echo.Use(server.recoverPanic, server.refuseMisrouted, server.refuseOptions,
		server.refuseWhileDraining)

	doc, err := loadSpec(config.Document)
	if err != nil {
		return nil, err
	}
	operations, err := operationsOf(doc)
	if err != nil {
		return nil, err
	}
	server.watchRequests(operations)
	guards := make(map[string][]echo.MiddlewareFunc, len(operations))
	for _, op := range operations {
		guards[op.id] = []echo.MiddlewareFunc{server.replay, server.guard(op), server.limitTime, server.once}
	}
	api.RegisterHandlersWithOptions(server.echo, api.NewStrictHandler(server, nil),
		api.RegisterHandlersOptions{OperationMiddlewares: guards})
	routes, err := server.routes(doc)
	if err != nil {
		return nil, err
	}
	for _, route := range routes {
		server.echo.Add(route.Method, route.Path, echo.WrapHandler(route.Handler))
	}
	if at := config.Notifications; at.Verifier != nil {
		server.echo.POST(at.Path, server.receiveNotification, server.limitTime)
	}
	server.methods = methodsOf(server.echo.Routes())
	return server, nil
}

// ServeHTTP answers one request.
func (server *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { server.echo.ServeHTTP(w, r) }

// Drain makes the server refuse new work with 503, while requests under way finish.
func (server *Server) Drain() { server.draining.Store(true) }

func (server *Server) refuseWhileDraining(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		routed := c.Path() != "" && c.Get(echo.ContextKeyHeaderAllow) == nil
		if server.draining.Load() && routed && c.Path() != "/healthz" {
			return &problem{
				code: api.ProblemCodeDraining, detail: "This server is shutting down; try again.", retryAfter: 1,
			}
		}
		return next(c)
	}
}

// refuseOptions keeps the router from answering OPTIONS by itself: the contract knows no such answer.
func (server *Server) refuseOptions(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method == http.MethodOptions && c.Get(echo.ContextKeyHeaderAllow) != nil {
			return echo.ErrMethodNotAllowed
		}
		return next(c)
	}
}

// limitTime bounds the work of an operation. The bound begins behind the guard: a large body may take its time.
func (server *Server) limitTime(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), server.config.Patience)
		defer cancel()
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

// recoverPanic turns a panic into an error, which the log names and the client does not see.
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

const requestIDHeader = "X-Request-Id"

// identify gives every exchange an id: the client's, where it is well-formed.
func (server *Server) identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(requestIDHeader)
		if !wellFormedID(id) {
			id = server.config.NewID().String()
		}
		c.Response().Header().Set(requestIDHeader, id)
		return next(c)
	}
}

func requestID(c echo.Context) string { return c.Response().Header().Get(requestIDHeader) }

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

// log names the exchange: the route's pattern, never the URL, which may hold what is no log's business.
func (server *Server) log(c echo.Context) *slog.Logger {
	return server.config.Log.With(
		slog.String("requestId", requestID(c)),
		slog.String("method", c.Request().Method),
		slog.String("route", c.Path()),
	)
}

// ready tells whether the database answers and has the tables that this binary needs.
func (server *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	have, want, err := server.config.Store.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	if have < want {
		return unavailable("The database is not migrated; run the migrations.")
	}
	return nil
}
