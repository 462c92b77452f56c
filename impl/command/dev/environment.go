package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/voostack/mailstack/impl/command/datafolder"
	"github.com/voostack/mailstack/impl/components"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/sealed"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store"
)

const (
	region = "us-east-1"
	topic  = "arn:aws:sns:" + region + ":000000000000:mailstack"
	// eventsPath is the default of production.
	eventsPath = "/internal/ses/events"
)

// environment runs the substitutes for external services: Postgres, SES and DNS on this machine.
type environment struct {
	process *components.Process
	folder  datafolder.Folder
	log     *slog.Logger
	watch   *components.Telemetry

	postgres              *devdb.Server
	apiStore, workerStore *store.Store
	simulator             *sessim.Simulator
	parts                 *components.Components
	simulatorHost         string
	sealer                *sealed.Sealer

	closers []func() error
}

func (dev *environment) onClose(closer func() error) { dev.closers = append(dev.closers, closer) }

// close ends what was started, in reverse order.
func (dev *environment) close() error {
	var failures []error
	for i := len(dev.closers) - 1; i >= 0; i-- {
		failures = append(failures, dev.closers[i]())
	}
	dev.closers = nil
	return errors.Join(failures...)
}

// start starts everything that the API, which will be at url, and the workers need, and registers the first account.
func (dev *environment) start(ctx context.Context, url string) (account, error) {
	if err := dev.folder.Create(); err != nil {
		return account{}, err
	}
	if err := dev.ensureSecretKey(); err != nil {
		return account{}, err
	}
	if err := dev.startPostgres(ctx); err != nil {
		return account{}, err
	}
	if err := dev.startSES(ctx, url); err != nil {
		return account{}, err
	}
	return dev.register(ctx)
}

func eventsFlags() components.EventsFlags {
	return components.EventsFlags{EventsTopics: []string{topic}}
}

// events returns the event settings of production, which also trust events signed by the simulator.
func (dev *environment) events() (components.EventsFlags, components.EventsRouteFlags) {
	return eventsFlags(), components.EventsRouteFlags{EventsPath: eventsPath, EventsTrustedHost: dev.simulatorHost}
}

func (dev *environment) startSES(ctx context.Context, url string) error {
	resolver, err := dev.startDNS(ctx)
	if err != nil {
		return err
	}
	endpoint, err := dev.startSimulator(ctx, resolver)
	if err != nil {
		return err
	}
	// Mail to ordinary addresses stays Sent, since nothing is delivered; SES's mailbox simulator addresses get events.
	err = dev.simulator.Publish(sessim.Events{URL: url + eventsPath, TopicARN: topic, Own: endpoint})
	if err != nil {
		return err
	}
	client, err := ses.New(ctx, ses.Config{
		Region: region, Endpoint: endpoint, ConfigurationSet: "mailstack",
		StaticAccessKey: "development", StaticSecretKey: "development", Timeout: components.SendTimeout, Log: dev.log,
	})
	if err != nil {
		return fmt.Errorf("set up the client of the simulated SES: %w", err)
	}
	if err := client.EnsureConfigurationSet(ctx); err != nil {
		return fmt.Errorf("set up the simulated SES: %w", err)
	}
	dev.parts = &components.Components{Process: dev.process, Log: dev.log, SES: client, Resolver: resolver, Telemetry: dev.watch, Clock: store.NewClock(dev.process.Now, dev.log)}
	return nil
}

func (dev *environment) startPostgres(ctx context.Context) error {
	var err error
	dev.postgres, err = devdb.Start(ctx, devdb.Options{DataDir: dev.folder.Path(datafolder.Postgres), Durable: true, Log: dev.log})
	if err != nil {
		return err
	}
	dev.onClose(dev.postgres.Stop)
	url := dev.postgres.DSN(devdb.Database)
	if err := store.Migrate(ctx, url, dev.log); err != nil {
		return err
	}
	for _, one := range []struct {
		store **store.Store
		name  string
	}{{&dev.apiStore, "mailstack api"}, {&dev.workerStore, "mailstack worker"}} {
		opened, err := store.Open(ctx, store.Config{URL: url, MaxConns: 16, Name: one.name, Log: dev.log})
		if err != nil {
			return err
		}
		*one.store = opened
		dev.onClose(func() error { opened.Close(); return nil })
	}
	return dev.publish(datafolder.DatabaseURL, url)
}

// publish writes a URL into the data folder, and removes it when dev ends.
func (dev *environment) publish(name, url string) error {
	dev.onClose(func() error { return dev.folder.Remove(name) })
	return dev.folder.Write(name, url)
}

// watchPostgres returns an error, which stops the process, when Postgres ends by itself.
func (dev *environment) watchPostgres(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-dev.postgres.Done():
		return fmt.Errorf("the database ended unexpectedly; see %s", dev.folder.Path(datafolder.Postgres+"/postgres.log"))
	}
}

func (dev *environment) startDNS(ctx context.Context) (*dns.Resolver, error) {
	zone := &domain.DevZone{Store: dev.apiStore, Region: region}
	server, err := dns.Serve(ctx, zone, "", dev.log)
	if err != nil {
		return nil, err
	}
	dev.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return server.Close(ctx)
	})
	return dns.New(dns.Config{Server: server.Addr(), Log: dev.log})
}

func (dev *environment) startSimulator(ctx context.Context, resolver *dns.Resolver) (endpoint string, err error) {
	dev.simulator, err = sessim.New(sessim.Config{
		Region: region, Resolver: resolver, Now: dev.process.Now, Random: dev.process.Random,
		Journal: dev.folder.Path(datafolder.Journal), Log: dev.log,
	})
	if err != nil {
		return "", err
	}
	dev.onClose(dev.simulator.Close)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for the simulated SES: %w", err)
	}
	server := components.NewHTTPServer(dev.simulator, dev.log)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			dev.log.ErrorContext(ctx, "serving the simulated SES failed", slog.Any("error", err))
		}
	}()
	dev.onClose(func() error {
		err := server.Close()
		<-served
		return err
	})
	endpoint = components.BaseURL(listener)
	dev.simulatorHost = strings.TrimPrefix(endpoint, "http://")
	return endpoint, dev.publish(datafolder.SimulatorURL, endpoint)
}
