// Package components builds the parts of MailStack's processes, for production and for dev alike, and runs and drains
// them.
//
//   - components.go: builds the API, the worker and what they share
//   - service.go: a process that runs until it is told to stop; http_server.go: listening and serving
//   - flags.go, limit_flags.go, reputation_flags.go, secret_key.go: settings that several commands have
//   - startup_checks.go, schema_check.go: checks at the start: SES, DNS, the database schema
//   - telemetry.go: metrics, profiles and traces of a process
//   - process.go: arguments, output, clock and randomness of a process
package components

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/voostack/mailstack/impl/awsevents"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/pressure"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/snsreceiver"
	"github.com/voostack/mailstack/impl/spec"
	"github.com/voostack/mailstack/impl/sqsconsumer"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/tenancy"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

// SendTimeout bounds one attempt to send. These times depend on each other:
//
//	SendTimeout (20 s) ≤ 4/5 of the drain timeout (25 s): an attempt in flight when the process is told to stop gets
//	    its response from SES, and the last fifth of the drain is for storing the outcome
//	drain timeout + 5 s for closing ≤ the 30 s that Kubernetes, Docker Compose and others wait before they kill
//	SendTimeout < 3/4 of the lease of a message (60 s, package workqueue): no other worker takes over an attempt that
//	    may still succeed
//	requestTimeout (60 s) may exceed the drain timeout: such a request is cut off, and its client got no 202
const SendTimeout = 20 * time.Second

// Components holds what the processes of production and of dev have in common.
type Components struct {
	Process   *Process
	Log       *slog.Logger
	SES       *ses.Client
	Resolver  *dns.Resolver
	Telemetry *Telemetry
	// IdentityLimit is how many identities the SES account may have.
	IdentityLimit int
	// ExampleDomain is the domain from which the examples of /docs send. Empty means the published document's.
	ExampleDomain string
	// Clock is the clock of the rows that processes share. It is Postgres's once a store has connected.
	Clock *store.Clock
}

// New sets up the clients of SES and DNS.
func New(
	ctx context.Context, process *Process, log *slog.Logger, account SESFlags, names DNSFlags, seen *Telemetry,
) (*Components, error) {
	client, err := ses.New(ctx, ses.Config{
		ConfigurationSet: account.ConfigurationSet, Timeout: SendTimeout, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up Amazon SES: %w", err)
	}
	resolver, err := dns.New(dns.Config{Server: names.DNSServer, Log: log})
	if err != nil {
		return nil, Usagef("MAILSTACK_DNS_SERVER: %w", err)
	}
	return &Components{Process: process, Log: log, SES: client, Resolver: resolver, Telemetry: seen, Clock: store.NewClock(process.Now, log), IdentityLimit: account.IdentityLimit}, nil
}

// OpenStore opens the database. Postgres shows the name beside each connection.
func (p *Components) OpenStore(ctx context.Context, flags DatabaseFlags, name string) (*store.Store, error) {
	return store.Open(ctx, store.Config{
		URL: flags.DatabaseURL, MaxConns: flags.DatabaseConnections, Name: name, Clock: p.Clock, Log: p.Log,
	})
}

// KeepClock returns a function that keeps the clock at Postgres's until its context ends.
func (p *Components) KeepClock(database *store.Store) func(context.Context) error {
	return func(ctx context.Context) error { return p.Clock.Run(ctx, database) }
}

// Domains returns the service that registers and verifies domains.
func (p *Components) Domains(database *store.Store) *domain.Service {
	return domain.New(domain.Config{
		Store: database, SES: p.SES, DNS: p.Resolver, Region: p.SES.Region(), IdentityLimit: p.IdentityLimit,
		Now: p.Clock.Now, Random: p.Process.Random, Log: p.Log,
	})
}

// Tenants returns the service that manages the tenants of organizations at SES.
func (p *Components) Tenants(database *store.Store) *tenancy.Service {
	return &tenancy.Service{Store: database, SES: p.SES, Now: p.Process.Now, Log: p.Log}
}

// Receiver returns the HTTP receiver of SES events on the topics, or nil without topics.
func (p *Components) Receiver(database *store.Store, topics EventsFlags, route EventsRouteFlags) *snsreceiver.Receiver {
	if len(topics.EventsTopics) == 0 {
		return nil
	}
	return snsreceiver.New(snsreceiver.Config{
		Path: route.EventsPath, Store: database, Now: p.Clock.Now, Log: p.Log,
		Verifier: sns.New(sns.Config{
			Topics: topics.EventsTopics, TrustedHost: route.EventsTrustedHost, Now: p.Process.Now, Log: p.Log,
		}),
	})
}

// Consumer returns a function that consumes the queue of SES events once ready returns. EventsQueue must be set.
func (p *Components) Consumer(
	ctx context.Context, database *store.Store, events EventsFlags, ready func(context.Context) error,
) (func(context.Context) error, error) {
	client, err := awsevents.New(ctx, ses.Config{})
	if err != nil {
		return nil, fmt.Errorf("set up Amazon SQS: %w", err)
	}
	collector := sqsconsumer.New(sqsconsumer.Config{
		Queue: client.Queue(events.EventsQueue), Store: database, Topics: events.EventsTopics, Now: p.Clock.Now, Log: p.Log,
	})
	return func(ctx context.Context) error {
		if err := ready(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		return collector.Run(ctx)
	}, nil
}

// API returns the server of the API, with metrics and traces if they are on.
func (p *Components) API(
	database *store.Store, sealer *sealed.Sealer, flags APIFlags, policy webhook.Policy, receiver *snsreceiver.Receiver,
	extra ...httpserver.Route,
) (*rest.Server, error) {
	prepared, err := spec.Prepare(p.Process.Spec)
	if err != nil {
		return nil, err
	}
	accepting := intake.Config{
		Store: database, Now: p.Clock.Now, Random: p.Process.Random,
		GroupSize: flags.AcceptGroup, MaxTransactions: flags.AcceptConcurrency, QueueSize: flags.AcceptQueueSize,
		Limits: flags.Limits(), Pressure: pressure.New(time.Now).IsHigh,
	}
	config := rest.Config{
		Spec:                prepared,
		Store:               database,
		Domains:             p.Domains(database),
		AccountSuppressions: p.SES,
		Now:                 p.Clock.Now,
		NewID:               p.Process.NewID,
		Random:              p.Process.Random,
		Sealer:              sealer,
		WebhookPolicy:       policy,
		Log:                 p.Log,
		RequestsPerSecond:   flags.RateLimit,
		BodyBudget:          flags.MaxBodyBytes,
		ValidateResponses:   flags.ValidateResponses,
		ExampleDomain:       p.ExampleDomain,
		ExtraRoutes:         extra,
	}
	if receiver != nil {
		config.ExtraRoutes = append(config.ExtraRoutes, receiver.Routes()...)
	}
	if p.Telemetry.tracer != nil {
		accepting.Tracer, config.Tracer = p.Telemetry.tracer, p.Telemetry.tracer
	}
	if p.Telemetry.metrics == nil {
		config.Intake = intake.New(accepting)
		return rest.New(config)
	}
	told := p.Telemetry.metrics.API()
	accepting.Observer, config.Observer = told, told
	accept := intake.New(accepting)
	config.Intake = accept
	server, err := rest.New(config)
	if err != nil {
		return nil, err
	}
	told.Waiting(accept.Waiting)
	told.Bodies(func() int64 {
		if receiver == nil {
			return server.BodyBytesInFlight()
		}
		return server.BodyBytesInFlight() + receiver.BodyBytesInFlight()
	})
	return server, nil
}

// Worker returns the worker, with metrics and traces if they are on.
func (p *Components) Worker(
	database *store.Store, sealer *sealed.Sealer, flags WorkerFlags, events EventsFlags, drain DrainFlags, policy webhook.Policy,
) (*worker.Worker, error) {
	config := worker.Config{
		Store:            database,
		SES:              p.SES,
		FetchQuota:       p.SES.GetQuota,
		Domains:          p.Domains(database),
		WebhookSender:    webhook.NewSender(webhook.Config{Policy: policy, Now: p.Clock.Now}),
		Sealer:           sealer,
		SendConcurrency:  flags.SendConcurrency,
		ContentRetention: time.Duration(flags.ContentRetention),
		MessageRetention: time.Duration(flags.MessageRetention),
		Reputation:       flags.Thresholds(),
		Tenants:          p.Tenants(database),
		DrainTimeout:     drain.DrainTimeout,

		EventsExpected: events.Expected(),

		Now: p.Clock.Now,
		Log: p.Log,
	}
	if p.Telemetry.tracer != nil {
		config.Tracer = p.Telemetry.tracer
	}
	if p.Telemetry.metrics == nil {
		return worker.New(config)
	}
	told := p.Telemetry.metrics.Worker()
	config.Observer, config.SES, config.WebhookSender = told, instrumentedSender{config.SES, told}, instrumentedWebhooks{config.WebhookSender, told}
	made, err := worker.New(config)
	if err != nil {
		return nil, err
	}
	told.Dropped(made.Events.Discarded)
	return made, nil
}
