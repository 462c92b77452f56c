// Package rest implements the operations of openapi.yaml. Each tag has a package below this one, whose Operations hold
// what its operations need.
//
//   - server.go: [Server] and its configuration
//   - operations.go: the operations of all tags together
//   - health.go: the operations of the tag health
package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/auth"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/pages"
	"github.com/voostack/mailstack/impl/rest/suppressions"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/spec"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
)

// Config holds the parts of a [Server].
type Config struct {
	// Spec is openapi.yaml, prepared. Servers may share it.
	Spec    *spec.Prepared
	Store   *store.Store
	Intake  httpserver.Acceptor
	Domains *domain.Service
	// AccountSuppressions is the suppression list of the SES account.
	AccountSuppressions suppressions.AccountSuppressions
	Now                 func() time.Time
	NewID               func() uuid.UUID
	Random              io.Reader
	// Sealer authenticates the cursors of lists, and encrypts the signing keys of webhooks.
	Sealer *sealed.Sealer
	// WebhookPolicy decides which URLs webhooks may have.
	WebhookPolicy webhook.Policy
	Log           *slog.Logger
	// RequestsPerSecond limits each key in this process, with bursts of twice as many. Zero means no limit.
	RequestsPerSecond float64
	// RequestTimeout bounds the lookup of a request's key and, separately, its handler after validation; then the
	// response is 503. Zero means 15 seconds, more than any operation needs.
	RequestTimeout time.Duration
	// ValidateResponses checks every response against the spec after it is written. Violations are logged and
	// counted.
	ValidateResponses bool
	// BodyBudget limits the total size in bytes of the bodies of requests in flight, see [httpserver.Config].
	BodyBudget int64
	// BodyPace is how fast a body must arrive. Its zero value means the defaults.
	BodyPace httpserver.BodyPace
	// Observer receives what metrics need. Nil means none.
	Observer httpserver.Observer
	// Tracer traces requests. Nil means none.
	Tracer httpserver.Tracer
	// ExampleDomain is the domain from which the examples of the API reference send. Empty means the published document's.
	ExampleDomain string
	// ExtraRoutes are routes that only some ways of running need, such as the inbox of dev and the route of package
	// snsreceiver.
	ExtraRoutes []httpserver.Route
}

// Server handles the API's requests.
type Server struct {
	http *httpserver.Server
	auth *auth.Authenticator
}

// New makes a Server.
func New(config Config) (*Server, error) {
	if config.RequestTimeout <= 0 {
		config.RequestTimeout = httpserver.DefaultRequestTimeout
	}
	authenticator, err := auth.New(auth.Config{
		Store: config.Store, Now: config.Now, Log: config.Log, RequestsPerSecond: config.RequestsPerSecond,
		LookupTimeout: config.RequestTimeout,
	})
	if err != nil {
		return nil, err
	}
	var all operations
	routes := pages.Routes(config.ExampleDomain)
	handler, err := httpserver.New(httpserver.Config{
		Spec: config.Spec, Register: all.register, Routes: append(routes, config.ExtraRoutes...),
		Store: config.Store, Intake: config.Intake, Authorizer: authenticator, Now: config.Now, NewID: config.NewID,
		Sealer: config.Sealer, Log: config.Log, RequestTimeout: config.RequestTimeout,
		ValidateResponses: config.ValidateResponses, BodyBudget: config.BodyBudget, BodyPace: config.BodyPace, Observer: config.Observer,
		Tracer: config.Tracer,
	})
	if err != nil {
		return nil, err
	}
	all.fill(config, handler)
	return &Server{http: handler, auth: authenticator}, nil
}

// ServeHTTP responds to one request.
func (server *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { server.http.ServeHTTP(w, r) }

// Run stores when keys were used, until ctx ends.
func (server *Server) Run(ctx context.Context) { server.auth.Run(ctx) }

// FlushLastUsed stores when keys were used since the last flush.
func (server *Server) FlushLastUsed(ctx context.Context) error { return server.auth.FlushLastUsed(ctx) }

// LameDuck makes the server not ready and has it close connections after their next response, while it answers everything.
func (server *Server) LameDuck() { server.http.LameDuck() }

// Drain makes the server refuse new work with 503, while requests in flight finish.
func (server *Server) Drain() { server.http.Drain() }

// Routes returns the routes of the router as "METHOD /path/:parameter".
func (server *Server) Routes() []string { return server.http.Routes() }

// InvalidResponses returns how many responses broke the spec. It is 0 unless [Config.ValidateResponses] is set.
func (server *Server) InvalidResponses() int64 { return server.http.InvalidResponses() }

// BodyBytesInFlight returns how many bytes are set aside for the bodies of requests in flight.
func (server *Server) BodyBytesInFlight() int64 { return server.http.BodyBytesInFlight() }
