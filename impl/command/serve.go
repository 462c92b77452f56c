package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

type serveCommand struct {
	Addr      string `env:"MAILSTACK_ADDR" default:":8080" placeholder:"HOST:PORT" help:"Where the API listens. Default: :8080."`
	AdminAddr string `env:"MAILSTACK_ADMIN_ADDR" default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Where metrics and profiles are served, to whoever reaches the address; off: nowhere. Default: 127.0.0.1:8081."`
	NoWorker  bool   `help:"Serve the API only; the mail is sent by \"mailstack worker\"."`
	secretKeyFlags
	databaseFlags
	sesFlags
	dnsFlags
	apiFlags
	eventsFlags
	eventsRouteFlags
	workerFlags
	webhookFlags
	drainFlags
	tracingFlags
	logFlags
}

// Help is shown by --help.
func (*serveCommand) Help() string {
	return `Any number of processes can run on one database. It starts while Postgres is away, and answers 503 until it is back; it refuses to start on a database that was not migrated.

SIGTERM drains: new requests get 503, those under way are answered, what is being sent is finished and stored, and the rest waits in the database. A second signal ends the process at once.`
}

func (c *serveCommand) check(process *Process) error {
	checks := []func() error{
		func() error { return c.secretKeyFlags.check(process.Random) },
		c.databaseFlags.check, c.apiFlags.check, c.eventsFlags.check, c.eventsRouteFlags.check, c.workerFlags.check,
		c.webhookFlags.check, c.drainFlags.check, c.tracingFlags.check,
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
	log := c.json(process)
	listener, err := listen(ctx, c.Addr, "MAILSTACK_ADDR")
	if err != nil {
		return err
	}
	// Closed twice when it served; that it is closed already is no failure then.
	defer func() { _ = listener.Close() }()
	seen, err := newWatch(ctx, c.AdminAddr, c.tracingFlags, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seen.close(ctx)) }()
	p, err := newParts(ctx, process, log, c.sesFlags, c.dnsFlags, seen)
	if err != nil {
		return err
	}
	database, err := p.openStore(ctx, c.databaseFlags, "mailstack api")
	if err != nil {
		return err
	}
	defer database.Close()
	ready, err := requireSchema(ctx, database, log)
	if err != nil {
		return err
	}
	seen.showDue(database, process.Now)
	running := &service{listener: listener, maxConnections: c.MaxConnections, watch: seen, ready: ready, drainTimeout: c.DrainTimeout, log: log}
	sealer, err := c.sealer(process.Random)
	if err != nil {
		return err
	}
	running.api, err = p.api(database, sealer, c.apiFlags, c.policy(), p.notifications(c.eventsFlags, c.eventsRouteFlags))
	if err != nil {
		return fmt.Errorf("set up the API: %w", err)
	}
	running.background = append(running.background, checkDNS(p.resolver, log))
	if !c.NoWorker {
		// A pool of their own keeps the workers from taking connections away from requests.
		own, err := p.openStore(ctx, c.databaseFlags, "mailstack worker")
		if err != nil {
			return err
		}
		defer own.Close()
		running.dispatcher, err = p.dispatcher(own, sealer, c.workerFlags, c.eventsFlags, c.drainFlags, c.policy())
		if err != nil {
			return err
		}
		running.background = append(running.background, checkSES(p.ses, log))
		if c.EventsQueue != "" {
			collector, err := p.collector(ctx, own, c.eventsFlags, ready)
			if err != nil {
				return err
			}
			running.background = append(running.background, collector)
		}
	}
	log.InfoContext(ctx, "serving", slog.String("address", listener.Addr().String()), slog.Bool("worker", !c.NoWorker))
	return running.run(ctx)
}
