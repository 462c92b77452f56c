package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/voostack/mailstack/impl/components"
)

type serveCommand struct {
	Addr      string `env:"MAILSTACK_ADDR" default:":8080" placeholder:"HOST:PORT" help:"Listen address of the API. Default: :8080."`
	AdminAddr string `env:"MAILSTACK_ADMIN_ADDR" default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Listen address of metrics and profiles, which need no authentication; off disables them. Default: 127.0.0.1:8081."`
	NoWorker  bool   `help:"Serve the API only; \"mailstack worker\" sends the mail."`
	components.SecretKeyFlags
	components.DatabaseFlags
	components.SESFlags
	components.DNSFlags
	components.APIFlags
	components.EventsFlags
	components.EventsRouteFlags
	components.WorkerFlags
	components.WebhookFlags
	components.DrainFlags
	components.LameDuckFlags
	components.TracingFlags
	components.LogFlags
}

// Help is shown by --help.
func (*serveCommand) Help() string {
	return `Any number of processes can run on one database. It starts while Postgres is unavailable, and responds with 503 until Postgres is back; it refuses to start on a database that was not migrated.

SIGTERM first makes /readyz fail while everything else is still answered, so that a load balancer looks elsewhere ($MAILSTACK_LAME_DUCK; a second signal skips it). Then the port is closed, requests in flight are answered, what is being sent is finished and stored, and the rest waits in the database. A further signal ends the process at once.`
}

func (c *serveCommand) check(process *Process) error {
	checks := []func() error{
		func() error { return c.SecretKeyFlags.Check(process.Random) },
		c.DatabaseFlags.Check, c.APIFlags.Check, c.EventsFlags.Check, c.EventsRouteFlags.Check, c.WorkerFlags.Check,
		c.WebhookFlags.Check, c.DrainFlags.Check, func() error { return c.LameDuckFlags.Check(c.DrainTimeout) }, c.TracingFlags.Check,
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context, process *Process) (err error) {
	if err := c.check(process); err != nil {
		return err
	}
	log := c.JSONLogger(process)
	listener, err := components.Listen(ctx, c.Addr, "MAILSTACK_ADDR")
	if err != nil {
		return err
	}
	// Serving closes it too: the error of a second Close is no failure.
	defer func() { _ = listener.Close() }()
	seen, err := components.NewTelemetry(ctx, c.AdminAddr, c.TracingFlags, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seen.Close(ctx)) }()
	p, err := components.New(ctx, process, log, c.SESFlags, c.DNSFlags, seen)
	if err != nil {
		return err
	}
	database, err := p.OpenStore(ctx, c.DatabaseFlags, "mailstack api")
	if err != nil {
		return err
	}
	defer database.Close()
	ready, err := components.RequireSchema(ctx, database, log)
	if err != nil {
		return err
	}
	seen.ExportQueueDepth(database, p.Clock.Now)
	seen.ExportDatabase(database, p.Clock.Now)
	seen.ExportConnections("api", database)
	seen.ExportClock(p.Clock)
	running := &components.Service{Listener: listener, MaxConnections: c.MaxConnections, Telemetry: seen, Ready: ready, DrainTimeout: c.DrainTimeout, LameDuck: c.LameDuck, Process: process, Log: log}
	sealer, err := c.Sealer(process.Random)
	if err != nil {
		return err
	}
	running.API, err = p.API(database, sealer, c.APIFlags, c.Policy(), p.Receiver(database, c.EventsFlags, c.EventsRouteFlags))
	if err != nil {
		return fmt.Errorf("set up the API: %w", err)
	}
	running.Background = append(running.Background, components.CheckDNS(p.Resolver, log), p.KeepClock(database))
	if !c.NoWorker {
		// The workers have their own pool, so that they cannot take connections away from requests.
		own, err := p.OpenStore(ctx, c.DatabaseFlags, "mailstack worker")
		if err != nil {
			return err
		}
		defer own.Close()
		seen.ExportConnections("worker", own)
		running.Worker, err = p.Worker(own, sealer, c.WorkerFlags, c.EventsFlags, c.DrainFlags, c.Policy())
		if err != nil {
			return err
		}
		running.Background = append(running.Background, components.CheckSES(p.SES, log))
		if c.EventsQueue != "" {
			collector, err := p.Consumer(ctx, own, c.EventsFlags, ready)
			if err != nil {
				return err
			}
			running.Background = append(running.Background, collector)
		}
	}
	log.InfoContext(ctx, "serving", slog.String("address", listener.Addr().String()), slog.Bool("worker", !c.NoWorker))
	return running.Run(ctx)
}
