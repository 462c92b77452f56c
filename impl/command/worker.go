package command

import (
	"context"
	"errors"

	"github.com/voostack/mailstack/impl/components"
)

// workerMemory is the limit of the heap of a worker, which needs less than half of what an API takes for its requests:
// its largest part are the bodies of large messages (package sending bounds them), several times over.
const workerMemory = 160 << 20

type workerCommand struct {
	AdminAddr string `env:"MAILSTACK_ADMIN_ADDR" default:"127.0.0.1:8082" placeholder:"HOST:PORT" help:"Listen address of metrics and profiles, which need no authentication; off disables them. Default: 127.0.0.1:8082."`
	components.SecretKeyFlags
	components.DatabaseFlags
	components.SESFlags
	components.DNSFlags
	components.EventsFlags
	components.WorkerFlags
	components.WebhookFlags
	components.DrainFlags
	components.TracingFlags
	components.LogFlags
}

// Help is shown by --help.
func (*workerCommand) Help() string {
	return `Sends accepted messages, processes SES events, delivers events to webhooks, rechecks domains, and deletes what is past its retention. Any number of processes can run on one database; when one is killed, others take over its messages after a minute. SIGTERM drains, as for "mailstack serve".`
}

func (c *workerCommand) check(process *Process) error {
	if err := c.SecretKeyFlags.Check(process.Random); err != nil {
		return err
	}
	for _, check := range []func() error{
		c.DatabaseFlags.Check, c.EventsFlags.Check, c.WorkerFlags.Check, c.WebhookFlags.Check, c.DrainFlags.Check,
		c.TracingFlags.Check,
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
	log := c.JSONLogger(process)
	if process.LimitMemory != nil {
		process.LimitMemory(workerMemory)
	}
	seen, err := components.NewTelemetry(ctx, c.AdminAddr, c.TracingFlags, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seen.Close(ctx)) }()
	p, err := components.New(ctx, process, log, c.SESFlags, c.DNSFlags, seen)
	if err != nil {
		return err
	}
	database, err := p.OpenStore(ctx, c.DatabaseFlags, "mailstack worker")
	if err != nil {
		return err
	}
	defer database.Close()
	seen.ExportQueueDepth(database, p.Clock.Now)
	seen.ExportDatabase(database, p.Clock.Now)
	seen.ExportConnections("worker", database)
	seen.ExportClock(p.Clock)
	running := &components.Service{Telemetry: seen, DrainTimeout: c.DrainTimeout, Log: log}
	if running.Ready, err = components.RequireSchema(ctx, database, log); err != nil {
		return err
	}
	sealer, err := c.Sealer(process.Random)
	if err != nil {
		return err
	}
	running.Worker, err = p.Worker(database, sealer, c.WorkerFlags, c.EventsFlags, c.DrainFlags, c.Policy())
	if err != nil {
		return err
	}
	running.Background = []func(context.Context) error{
		components.CheckSES(p.SES, log), components.CheckDNS(p.Resolver, log), p.KeepClock(database),
	}
	if c.EventsQueue != "" {
		collector, err := p.Consumer(ctx, database, c.EventsFlags, running.Ready)
		if err != nil {
			return err
		}
		running.Background = append(running.Background, collector)
	}
	log.InfoContext(ctx, "working")
	return running.Run(ctx)
}
