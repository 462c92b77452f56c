package command

import (
	"context"
	"errors"
)

type workerCommand struct {
	AdminAddr string `env:"MAILSTACK_ADMIN_ADDR" default:"127.0.0.1:8082" placeholder:"HOST:PORT" help:"Where metrics and profiles are served, to whoever reaches the address; off: nowhere. Default: 127.0.0.1:8082."`
	secretKeyFlags
	databaseFlags
	sesFlags
	dnsFlags
	eventsFlags
	workerFlags
	webhookFlags
	drainFlags
	tracingFlags
	logFlags
}

// Help is shown by --help.
func (*workerCommand) Help() string {
	return `Sends what was accepted, takes in what SES reports, delivers events to webhooks, looks at domains again, and drops what has been kept long enough. Any number of processes can run on one database; what one was sending when it was killed is taken over after a minute. SIGTERM drains, as for "mailstack serve".`
}

func (c *workerCommand) check(process *Process) error {
	if err := c.secretKeyFlags.check(process.Random); err != nil {
		return err
	}
	for _, check := range []func() error{
		c.databaseFlags.check, c.eventsFlags.check, c.workerFlags.check, c.webhookFlags.check, c.drainFlags.check,
		c.tracingFlags.check,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// Run works until ctx ends.
func (c *workerCommand) Run(ctx context.Context, process *Process) (err error) {
	if err := c.check(process); err != nil {
		return err
	}
	log := c.json(process)
	seen, err := newWatch(ctx, c.AdminAddr, c.tracingFlags, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seen.close(ctx)) }()
	p, err := newParts(ctx, process, log, c.sesFlags, c.dnsFlags, seen)
	if err != nil {
		return err
	}
	database, err := p.openStore(ctx, c.databaseFlags, "mailstack worker")
	if err != nil {
		return err
	}
	defer database.Close()
	seen.showDue(database, process.Now)
	running := &service{watch: seen, drainTimeout: c.DrainTimeout, log: log}
	if running.ready, err = requireSchema(ctx, database, log); err != nil {
		return err
	}
	sealer, err := c.sealer(process.Random)
	if err != nil {
		return err
	}
	running.dispatcher, err = p.dispatcher(database, sealer, c.workerFlags, c.eventsFlags, c.drainFlags, c.policy())
	if err != nil {
		return err
	}
	running.background = []func(context.Context) error{checkSES(p.ses, log), checkDNS(p.resolver, log)}
	if c.EventsQueue != "" {
		collector, err := p.collector(ctx, database, c.eventsFlags, running.ready)
		if err != nil {
			return err
		}
		running.background = append(running.background, collector)
	}
	log.InfoContext(ctx, "working")
	return running.run(ctx)
}
