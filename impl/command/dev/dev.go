// Package dev runs everything on this machine: "mailstack dev", and "mailstack simulator" for the simulated SES alone.
//
//   - dev.go: the command
//   - environment.go: its Postgres, SES and DNS
//   - seed.go: its first organization, key and domain
//   - simulator.go: the simulated SES alone
package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/command/datafolder"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/pages/design"
)

// answerTime bounds the wait for the first response of our own server, which only has to be scheduled.
const answerTime = 10 * time.Second

// Command is "mailstack dev".
type Command struct {
	Addr      string `env:"MAILSTACK_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Listen address of the API. Default: 127.0.0.1:8080."`
	AdminAddr string `env:"MAILSTACK_ADMIN_ADDR" default:"off" placeholder:"HOST:PORT" help:"Listen address of metrics and profiles; off disables them. Default: off."`
	datafolder.Flags
	components.APIFlags
	components.WorkerFlags
	components.WebhookFlags
	components.DrainFlags
	components.TracingFlags
	components.LogFlags
}

// Help is shown by --help.
func (*Command) Help() string {
	return `Needs only the Postgres binaries. It starts a private Postgres, a simulated SES and a small DNS server, registers an organization "dev" with the verified domain mail.test and a key with every scope, and prints what to paste to send a first email. Nothing leaves this machine. An email stays at Sent, except to success@, bounce@, complaint@ and suppressionlist@simulator.amazonses.com, which get their events as from SES. /dev/inbox shows every email, without authentication. AWS variables are ignored.

Webhooks may use plain http to addresses of this machine. Every domain below .test is verified, since the DNS server publishes its records; all others stay pending. The data folder keeps all data, including the key; remove it to start over. The commands org, key and billing find the database there while dev runs.`
}

// Run runs everything until ctx ends.
func (c *Command) Run(ctx context.Context, process *components.Process) (err error) {
	for _, check := range []func() error{c.APIFlags.Check, c.WorkerFlags.Check, c.WebhookFlags.Check, c.DrainFlags.Check, c.TracingFlags.Check} {
		if err := check(); err != nil {
			return err
		}
	}
	listener, err := components.Listen(ctx, c.Addr, "MAILSTACK_ADDR")
	if err != nil {
		return err
	}
	dev := &environment{process: process, folder: c.DataDir, log: c.TextLogger(process)}
	dev.onClose(components.IgnoreClosed(listener.Close))
	defer func() { err = errors.Join(err, dev.close()) }()
	if dev.watch, err = components.NewTelemetry(ctx, c.AdminAddr, c.TracingFlags, dev.log); err != nil {
		return err
	}
	dev.onClose(func() error { return dev.watch.Close(ctx) })
	account, err := dev.start(ctx, components.BaseURL(listener))
	if err != nil && ctx.Err() != nil {
		return errors.New("stopped before everything was started")
	}
	if err != nil {
		return err
	}
	running, err := c.service(dev, listener)
	if err != nil {
		return err
	}
	running.Background = append(running.Background, func(ctx context.Context) error {
		return dev.announce(ctx, components.BaseURL(listener), account)
	})
	return running.Run(ctx)
}

func (c *Command) service(dev *environment, listener net.Listener) (*components.Service, error) {
	running := &components.Service{
		Listener: listener, MaxConnections: c.MaxConnections, Telemetry: dev.watch, Ready: func(context.Context) error { return nil }, DrainTimeout: c.DrainTimeout, Log: dev.log,
		Background: []func(context.Context) error{dev.watchPostgres},
	}
	dev.watch.ExportQueueDepth(dev.workerStore, dev.process.Now)
	dev.watch.ExportDatabase(dev.workerStore, dev.process.Now)
	dev.watch.ExportConnections("api", dev.apiStore)
	dev.watch.ExportConnections("worker", dev.workerStore)
	var err error
	inbox := dev.simulator.Inbox(
		design.Link{Title: "Reference", Path: "/docs/"}, design.Link{Title: "Webhooks", Path: "/docs/webhooks"},
		design.Link{Title: "Problems", Path: "/problems"},
	)
	policy := c.Policy()
	policy.AllowLoopbackHTTP = true
	dev.parts.ExampleDomain = domainName
	events, route := dev.events()
	running.API, err = dev.parts.API(dev.apiStore, dev.sealer, c.APIFlags, policy, dev.parts.Receiver(dev.apiStore, events, route),
		httpserver.Route{Method: http.MethodGet, Path: "/dev/inbox", Handler: inbox},
		httpserver.Route{Method: http.MethodGet, Path: "/dev/inbox/*", Handler: inbox},
		httpserver.Route{Method: http.MethodGet, Path: "/dev/inbox.json", Handler: inbox},
	)
	if err != nil {
		return nil, fmt.Errorf("set up the API: %w", err)
	}
	running.Worker, err = dev.parts.Worker(dev.workerStore, dev.sealer, c.WorkerFlags, eventsFlags(), c.DrainFlags, policy)
	return running, err
}

// announce prints what to paste once the server is ready.
func (dev *environment) announce(ctx context.Context, url string, account account) error {
	err := awaitAnswer(ctx, url+"/readyz")
	select {
	case <-ctx.Done():
		return nil // stopped meanwhile
	default:
	}
	if err != nil {
		return err
	}
	return dev.process.Printf(`export MAILSTACK_URL=%s
export MAILSTACK_API_KEY=%s
curl -sS "$MAILSTACK_URL/v1/emails" -H "Authorization: Bearer $MAILSTACK_API_KEY" -H "Content-Type: application/json" -d '{"from":"hello@%s","to":"you@example.com","subject":"Hello","html":"<p>It works.</p>"}'
# what was sent: %s/dev/inbox
# API reference: %s/docs
`, url, account.key.Reveal(), domainName, url, url)
}

func awaitAnswer(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("check our own server: %w", err)
		}
		response, err := client.Do(request)
		if err == nil {
			if err := response.Body.Close(); err != nil {
				return fmt.Errorf("check our own server: %w", err)
			}
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s", response.Status)
		}
		if backoff.Sleep(ctx, 5*time.Millisecond) != nil {
			return fmt.Errorf("our own server is not ready: %w", err)
		}
	}
}
