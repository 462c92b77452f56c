package command

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
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/sqsconsumer"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

// Times that depend on each other:
//
//	one send (sendTimeout, 20 s) ≤ 4/5 of the drain (25 s): what is being sent when the process is told to stop
//	    gets its answer, and the last fifth of the drain is for storing it
//	the drain + 5 s for closing ≤ the 30 s that Kubernetes, Docker Compose and others wait before they kill
//	one send < 3/4 of the lease of a message (60 s, package due): nobody takes over what may still succeed
//	a request (requestTimeout, 60 s) may outlast the drain: it is cut off then, and was not answered with 202
const sendTimeout = 20 * time.Second

// parts are what the processes of production and of dev have in common.
type parts struct {
	process  *Process
	log      *slog.Logger
	ses      *ses.Client
	resolver *dns.Resolver
	watch    *watch
}

func newParts(
	ctx context.Context, process *Process, log *slog.Logger, account sesFlags, names dnsFlags, seen *watch,
) (*parts, error) {
	client, err := ses.New(ctx, ses.Config{
		ConfigurationSet: account.ConfigurationSet, Timeout: sendTimeout, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("set up Amazon SES: %w", err)
	}
	resolver, err := dns.New(dns.Config{Server: names.DNSServer, Log: log})
	if err != nil {
		return nil, usagef("MAILSTACK_DNS_SERVER: %w", err)
	}
	return &parts{process: process, log: log, ses: client, resolver: resolver, watch: seen}, nil
}

func (p *parts) openStore(ctx context.Context, flags databaseFlags, name string) (*store.Store, error) {
	return store.Open(ctx, store.Config{
		URL: flags.DatabaseURL, MaxConns: flags.DatabaseConnections, Name: name, Log: p.log,
	})
}

func (p *parts) domains(database *store.Store) *domain.Service {
	return domain.New(domain.Config{
		Store: database, SES: p.ses, DNS: p.resolver, Region: p.ses.Region(),
		Now: p.process.Now, Random: p.process.Random, Log: p.log,
	})
}

// notifications is the route for what SES reports about the topics; without any there is none.
func (p *parts) notifications(topics eventsFlags, route eventsRouteFlags) rest.Notifications {
	if len(topics.EventsTopics) == 0 {
		return rest.Notifications{}
	}
	return rest.Notifications{Path: route.EventsPath, Verifier: sns.New(sns.Config{
		Topics: topics.EventsTopics, TrustedHost: route.EventsTrustedHost, Now: p.process.Now, Log: p.log,
	})}
}

// collector empties the queue of events, once the database is ready. It needs a queue.
func (p *parts) collector(
	ctx context.Context, database *store.Store, events eventsFlags, ready func(context.Context) error,
) (func(context.Context) error, error) {
	client, err := awsevents.New(ctx, ses.Config{})
	if err != nil {
		return nil, fmt.Errorf("set up Amazon SQS: %w", err)
	}
	collector := sqsconsumer.New(sqsconsumer.Config{
		Queue: client.Queue(events.EventsQueue), Store: database, Topics: events.EventsTopics, Now: p.process.Now, Log: p.log,
	})
	return func(ctx context.Context) error {
		if err := ready(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		return collector.Run(ctx)
	}, nil
}

func (p *parts) api(
	database *store.Store, sealer *sealed.Sealer, flags apiFlags, policy webhook.Policy, notifications rest.Notifications,
	extra ...httpserver.Route,
) (*rest.Server, error) {
	accepting := intake.Config{
		Store: database, Now: p.process.Now, Random: p.process.Random,
		GroupSize: flags.AcceptGroup, MaxTransactions: flags.AcceptParallel, QueueSize: flags.AcceptWaiting,
	}
	config := rest.Config{
		Spec:                p.process.Document,
		Store:               database,
		Domains:             p.domains(database),
		AccountSuppressions: p.ses,
		Now:                 p.process.Now,
		NewID:               p.process.newID,
		Random:              p.process.Random,
		Sealer:              sealer,
		WebhookPolicy:       policy,
		Log:                 p.log,
		RequestsPerSecond:   flags.RateLimit,
		BodyBudget:          flags.MaxBodies,
		ValidateResponses:   flags.ValidateResponses,
		Notifications:       notifications,
		ExtraRoutes:         extra,
	}
	if p.watch.tracer != nil {
		accepting.Tracer, config.Tracer = p.watch.tracer, p.watch.tracer
	}
	if p.watch.metrics == nil {
		config.Intake = intake.New(accepting)
		return rest.New(config)
	}
	told := p.watch.metrics.API()
	accepting.Observer, config.Observer = told, told
	accept := intake.New(accepting)
	config.Intake = accept
	server, err := rest.New(config)
	if err != nil {
		return nil, err
	}
	told.Waiting(accept.Waiting)
	told.Bodies(server.BodyBytesInFlight)
	return server, nil
}

func (p *parts) dispatcher(
	database *store.Store, sealer *sealed.Sealer, flags workerFlags, events eventsFlags, drain drainFlags, policy webhook.Policy,
) (*worker.Worker, error) {
	config := worker.Config{
		Store:            database,
		SES:              p.ses,
		FetchQuota:       p.ses.GetQuota,
		Domains:          p.domains(database),
		WebhookSender:    webhook.NewSender(webhook.Config{Policy: policy, Now: p.process.Now}),
		Sealer:           sealer,
		SendConcurrency:  flags.Senders,
		ContentRetention: time.Duration(flags.ContentRetention),
		MessageRetention: time.Duration(flags.MessageRetention),
		DrainTimeout:     drain.DrainTimeout,

		EventsExpected: events.expected(),

		Now: p.process.Now,
		Log: p.log,
	}
	if p.watch.tracer != nil {
		config.Tracer = p.watch.tracer
	}
	if p.watch.metrics == nil {
		return worker.New(config)
	}
	told := p.watch.metrics.Worker()
	config.Observer, config.SES, config.WebhookSender = told, watchedSender{config.SES, told}, watchedWebhooks{config.WebhookSender, told}
	dispatcher, err := worker.New(config)
	if err != nil {
		return nil, err
	}
	told.Dropped(dispatcher.Events.Discarded)
	return dispatcher, nil
}
