package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/voostack/mailstack/impl"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/store"
)

const (
	devRegion = "us-east-1"
	// devAnswerTime bounds the wait for our own server, which only has to be scheduled.
	devAnswerTime = 10 * time.Second
)

type devCommand struct {
	Addr string `env:"MAILSTACK_ADDR" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where the API listens. Default: 127.0.0.1:8080."`
	dataFolderFlags
	apiFlags
	workerFlags
	drainFlags
	logFlags
}

// Help is shown by --help.
func (*devCommand) Help() string {
	return `Needs nothing but the Postgres binaries. It starts a private Postgres, a simulated SES and a small DNS server, registers an organization "dev" with the verified domain mail.test and a key with every scope, and prints what to paste to send a first email. Nothing leaves this machine: what was sent can be read at /dev/inbox, by whoever reaches the address. AWS variables are ignored.

Every domain below .test verifies, since the DNS server publishes its records; all others stay pending. The data, the key included, is kept in the data folder; remove the folder to start over. The commands org, key and billing find the database there while dev runs.`
}

// Run runs everything until ctx ends.
func (c *devCommand) Run(ctx context.Context, process *Process) (err error) {
	for _, check := range []func() error{c.apiFlags.check, c.workerFlags.check, c.drainFlags.check} {
		if err := check(); err != nil {
			return err
		}
	}
	listener, err := listen(ctx, c.Addr, "MAILSTACK_ADDR")
	if err != nil {
		return err
	}
	dev := &development{process: process, folder: c.DataDir, log: c.text(process)}
	dev.onClose(ignoreClosed(listener.Close))
	defer func() { err = errors.Join(err, dev.close()) }()
	account, err := dev.start(ctx)
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
	running.background = append(running.background, func(ctx context.Context) error {
		return dev.announce(ctx, baseURL(listener), account)
	})
	return running.run(ctx)
}

func (c *devCommand) service(dev *development, listener net.Listener) (*service, error) {
	running := &service{
		listener: listener, ready: func(context.Context) error { return nil }, drainTimeout: c.DrainTimeout, log: dev.log,
		background: []func(context.Context) error{dev.watchPostgres},
	}
	var err error
	inbox := dev.simulator.Inbox()
	running.api, err = dev.parts.api(dev.apiStore, c.apiFlags,
		impl.Route{Method: http.MethodGet, Path: "/dev/inbox", Handler: inbox},
		impl.Route{Method: http.MethodGet, Path: "/dev/inbox/*", Handler: inbox},
		impl.Route{Method: http.MethodGet, Path: "/dev/inbox.json", Handler: inbox},
	)
	if err != nil {
		return nil, fmt.Errorf("set up the API: %w", err)
	}
	running.dispatcher, err = dev.parts.dispatcher(dev.workerStore, c.workerFlags, c.drainFlags)
	return running, err
}

// development is what stands in for the world outside: Postgres, SES and DNS on this machine.
type development struct {
	process *Process
	folder  dataFolder
	log     *slog.Logger

	postgres              *devdb.Server
	apiStore, workerStore *store.Store
	simulator             *sessim.Simulator
	parts                 *parts

	closers []func() error
}

func (dev *development) onClose(closer func() error) { dev.closers = append(dev.closers, closer) }

// close ends what was started, the last first.
func (dev *development) close() error {
	var failures []error
	for i := len(dev.closers) - 1; i >= 0; i-- {
		failures = append(failures, dev.closers[i]())
	}
	dev.closers = nil
	return errors.Join(failures...)
}

// start starts everything that the API and the workers need, and registers who may use them.
func (dev *development) start(ctx context.Context) (devAccount, error) {
	if err := dev.folder.create(); err != nil {
		return devAccount{}, err
	}
	if err := dev.ensureSecretKey(); err != nil {
		return devAccount{}, err
	}
	if err := dev.startPostgres(ctx); err != nil {
		return devAccount{}, err
	}
	if err := dev.startSES(ctx); err != nil {
		return devAccount{}, err
	}
	return dev.register(ctx)
}

func (dev *development) startSES(ctx context.Context) error {
	resolver, err := dev.startDNS(ctx)
	if err != nil {
		return err
	}
	endpoint, err := dev.startSimulator(ctx, resolver)
	if err != nil {
		return err
	}
	client, err := ses.New(ctx, ses.Config{
		Region: devRegion, Endpoint: endpoint, ConfigurationSet: "mailstack",
		StaticAccessKey: "development", StaticSecretKey: "development", Timeout: sendTimeout, Log: dev.log,
	})
	if err != nil {
		return fmt.Errorf("set up the client of the simulated SES: %w", err)
	}
	if err := client.EnsureConfigurationSet(ctx); err != nil {
		return fmt.Errorf("set up the simulated SES: %w", err)
	}
	dev.parts = &parts{process: dev.process, log: dev.log, ses: client, resolver: resolver}
	return nil
}

func (dev *development) startPostgres(ctx context.Context) error {
	var err error
	dev.postgres, err = devdb.Start(ctx, devdb.Options{DataDir: dev.folder.path(folderPostgres), Durable: true, Log: dev.log})
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
	return dev.publish(fileDatabaseURL, url)
}

// publish writes down where something is as long as it is there.
func (dev *development) publish(name, url string) error {
	dev.onClose(func() error { return dev.folder.remove(name) })
	return dev.folder.write(name, url)
}

// watchPostgres ends everything when Postgres ends by itself.
func (dev *development) watchPostgres(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-dev.postgres.Done():
		return fmt.Errorf("the database ended; %s says why", dev.folder.path(folderPostgres+"/postgres.log"))
	}
}

func (dev *development) startDNS(ctx context.Context) (*dns.Resolver, error) {
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

func (dev *development) startSimulator(ctx context.Context, resolver *dns.Resolver) (endpoint string, err error) {
	dev.simulator, err = sessim.New(sessim.Config{
		Region: devRegion, Resolver: resolver, Now: dev.process.Now, Random: dev.process.Random,
		Journal: dev.folder.path(fileJournal), Log: dev.log,
	})
	if err != nil {
		return "", err
	}
	dev.onClose(dev.simulator.Close)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for the simulated SES: %w", err)
	}
	server := newHTTPServer(dev.simulator, dev.log)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			dev.log.ErrorContext(ctx, "the simulated SES ended", slog.Any("error", err))
		}
	}()
	dev.onClose(func() error {
		err := server.Close()
		<-served
		return err
	})
	endpoint = baseURL(listener)
	return endpoint, dev.publish(fileSimulatorURL, endpoint)
}

// announce prints what to paste once the server answers.
func (dev *development) announce(ctx context.Context, url string, account devAccount) error {
	err := awaitAnswer(ctx, url+"/readyz")
	select {
	case <-ctx.Done():
		return nil // told to stop meanwhile
	default:
	}
	if err != nil {
		return err
	}
	return dev.process.printf(`export MAILSTACK_URL=%s
export MAILSTACK_API_KEY=%s
curl -sS "$MAILSTACK_URL/v1/emails" -H "Authorization: Bearer $MAILSTACK_API_KEY" -H "Content-Type: application/json" -d '{"from":"hello@%s","to":"you@example.com","subject":"Hello","html":"<p>It works.</p>"}'
# what was sent: %s/dev/inbox
# API reference: %s/docs
`, url, account.key.Reveal(), devDomain, url, url)
}

func awaitAnswer(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, devAnswerTime)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("ask our own server: %w", err)
		}
		response, err := client.Do(request)
		if err == nil {
			if err := response.Body.Close(); err != nil {
				return fmt.Errorf("ask our own server: %w", err)
			}
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("%s", response.Status)
		}
		if !pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("our own server does not answer: %w", err)
		}
	}
}

// ignoreClosed is for what may have been closed by others in the meantime.
func ignoreClosed(closer func() error) func() error {
	return func() error {
		if err := closer(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}
