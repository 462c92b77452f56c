package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

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
	devRegion = "us-east-1"
	devTopic  = "arn:aws:sns:" + devRegion + ":000000000000:mailstack"
	// devEventsPath is the default of production.
	devEventsPath = "/internal/ses/events"
)

// devEnvironment runs the substitutes for external services: Postgres, SES and DNS on this machine.
type devEnvironment struct {
	process *Process
	folder  Folder
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

func (dev *devEnvironment) onClose(closer func() error) { dev.closers = append(dev.closers, closer) }

// close ends what was started, in reverse order.
func (dev *devEnvironment) close() error {
	var failures []error
	for i := len(dev.closers) - 1; i >= 0; i-- {
		failures = append(failures, dev.closers[i]())
	}
	dev.closers = nil
	return errors.Join(failures...)
}

// start starts everything that the API, which will be at url, and the workers need, and registers the first account.
func (dev *devEnvironment) start(ctx context.Context, url string) (devAccount, error) {
	if err := dev.folder.Create(); err != nil {
		return devAccount{}, err
	}
	if err := dev.ensureSecretKey(); err != nil {
		return devAccount{}, err
	}
	if err := dev.startPostgres(ctx); err != nil {
		return devAccount{}, err
	}
	if err := dev.startSES(ctx, url); err != nil {
		return devAccount{}, err
	}
	return dev.register(ctx)
}

func devEvents() components.EventsFlags {
	return components.EventsFlags{EventsTopics: []string{devTopic}}
}

// events returns the event settings of production, which also trust events signed by the simulator.
func (dev *devEnvironment) events() (components.EventsFlags, components.EventsRouteFlags) {
	return devEvents(), components.EventsRouteFlags{EventsPath: devEventsPath, EventsTrustedHost: dev.simulatorHost}
}

func (dev *devEnvironment) startSES(ctx context.Context, url string) error {
	resolver, err := dev.startDNS(ctx)
	if err != nil {
		return err
	}
	endpoint, err := dev.startSimulator(ctx, resolver)
	if err != nil {
		return err
	}
	// Mail to ordinary addresses stays Sent, since nothing is delivered; SES's mailbox simulator addresses get events.
	err = dev.simulator.Publish(sessim.Events{URL: url + devEventsPath, TopicARN: devTopic, Own: endpoint})
	if err != nil {
		return err
	}
	client, err := ses.New(ctx, ses.Config{
		Region: devRegion, Endpoint: endpoint, ConfigurationSet: "mailstack",
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

func (dev *devEnvironment) startPostgres(ctx context.Context) error {
	var err error
	dev.postgres, err = devdb.Start(ctx, devdb.Options{DataDir: dev.folder.Path(Postgres), Durable: true, Log: dev.log})
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
	return dev.publish(DatabaseURL, url)
}

// publish writes a URL into the data folder, and removes it when dev ends.
func (dev *devEnvironment) publish(name, url string) error {
	dev.onClose(func() error { return dev.folder.Remove(name) })
	return dev.folder.Write(name, url)
}

// watchPostgres returns an error, which stops the process, when Postgres ends by itself.
func (dev *devEnvironment) watchPostgres(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-dev.postgres.Done():
		return fmt.Errorf("the database ended unexpectedly; see %s", dev.folder.Path(Postgres+"/postgres.log"))
	}
}

func (dev *devEnvironment) startDNS(ctx context.Context) (*dns.Resolver, error) {
	zone := &domain.DevZone{Store: dev.apiStore, Region: devRegion}
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

func (dev *devEnvironment) startSimulator(ctx context.Context, resolver *dns.Resolver) (endpoint string, err error) {
	dev.simulator, err = sessim.New(sessim.Config{
		Region: devRegion, Resolver: resolver, Now: dev.process.Now, Random: dev.process.Random,
		Journal: dev.folder.Path(Journal), Log: dev.log,
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
	return endpoint, dev.publish(SimulatorURL, endpoint)
}
