package contracttests

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
	"github.com/voostack/mailstack/impl/sns"
	"github.com/voostack/mailstack/impl/snsreceiver"
	"github.com/voostack/mailstack/impl/spec"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
	"github.com/voostack/mailstack/impl/webhook"
	"github.com/voostack/mailstack/impl/worker"
)

const region = "us-east-1"

// clock is the time of a stack: the real time plus the duration that a test adds.
type clock struct {
	mutex sync.Mutex
	ahead time.Duration
	// stopped is the real time at which the clock was stopped; zero while it runs.
	stopped time.Time
}

func (c *clock) now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	real := c.stopped
	if real.IsZero() {
		real = time.Now()
	}
	return real.Add(c.ahead).UTC()
}

// stop has the clock stand still, but for what the test adds: what flows in by the second then does not depend on how fast
// the machine is.
func (c *clock) stop() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.stopped = time.Now()
}

func (c *clock) advance(by time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.ahead += by
}

// stack is a whole server for one test, with everything that it talks to.
type stack struct {
	t       testing.TB
	url     string
	clock   *clock
	store   *store.Store
	zone    *dns.StaticZone
	sim     *sessim.Simulator
	simURL  string
	domains *domain.Service
	ses     *ses.Client
	server  *rest.Server
	intake  *intake.Intake
	mailer  *worker.Worker
	http    *http.Client
}

// options vary a stack.
type options struct {
	store             *store.Store
	requestsPerSecond float64
	// exampleDomain is the domain of the examples of /docs.
	exampleDomain string
	// document is served instead of openapi.yaml.
	document string
	// worker runs the workers beside the API.
	worker bool
	// events has the simulator report events, with this signature version. Empty means no events.
	events string
	// publishTo is the URL that receives the events instead of the server.
	publishTo string
	// waiting is the size of the accept queue, in messages.
	waiting int
	// bodies is the budget for bodies in flight, in bytes.
	bodies int64
	// pace is how fast bodies must arrive.
	pace httpserver.BodyPace
	// nameserver answers the domain checks instead of the zone.
	nameserver string
}

func newStack(t testing.TB, vary ...options) *stack {
	t.Helper()
	var option options
	if len(vary) > 0 {
		option = vary[0]
	}
	s := &stack{t: t, clock: &clock{}, zone: dns.NewStaticZone()}
	s.store = option.store
	if s.store == nil {
		s.store = storetest.New(t)
	}
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	resolver := s.startDNS(log)
	s.ses = s.startSES(resolver, log)
	if option.nameserver != "" {
		var err error
		resolver, err = dns.New(dns.Config{Server: option.nameserver, Log: log})
		must(t, err)
	}
	s.domains = domain.New(domain.Config{
		Store: s.store, SES: s.ses, DNS: resolver, Region: region, Now: s.clock.now, Random: rand.Reader, Log: log,
	})
	var err error
	s.mailer, err = worker.New(worker.Config{
		Store: s.store, SES: s.ses, Domains: s.domains, Now: s.clock.now, Log: log, Sealer: sealer(t),
		WebhookSender: webhook.NewSender(webhook.Config{Policy: webhookPolicy(t), Roots: testRoots(t)}),
	})
	must(t, err)
	s.startAPI(option, log)
	if option.worker {
		s.startWorker()
	}
	return s
}

func (s *stack) startDNS(log *slog.Logger) *dns.Resolver {
	server, err := dns.Serve(s.t.Context(), s.zone, "", log)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, server.Close(context.Background())) })
	resolver, err := dns.New(dns.Config{Server: server.Addr(), Log: log})
	must(s.t, err)
	return resolver
}

func (s *stack) startSES(resolver *dns.Resolver, log *slog.Logger) *ses.Client {
	var err error
	s.sim, err = sessim.New(sessim.Config{Region: region, Resolver: resolver, Log: log})
	must(s.t, err)
	simulator := httptest.NewServer(s.sim)
	s.t.Cleanup(func() {
		s.sim.ClearFaults()
		simulator.CloseClientConnections()
		simulator.Close()
		must(s.t, s.sim.Close())
	})
	s.simURL = simulator.URL
	provider, err := ses.New(s.t.Context(), ses.Config{
		Region: region, Endpoint: simulator.URL, ConfigurationSet: "mailstack",
		StaticAccessKey: "test", StaticSecretKey: "test", Timeout: 7 * time.Second, Log: log,
	})
	must(s.t, err)
	must(s.t, provider.EnsureConfigurationSet(s.t.Context()))
	return provider
}

func (s *stack) startAPI(option options, log *slog.Logger) {
	newID := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	s.intake = intake.New(intake.Config{Store: s.store, Now: s.clock.now, Random: rand.Reader, QueueSize: option.waiting})
	var err error
	s.server, err = rest.New(rest.Config{
		Spec: option.specOf(s.t), Store: s.store, Domains: s.domains, AccountSuppressions: s.ses,
		Intake: s.intake, Now: s.clock.now, NewID: newID, Random: rand.Reader, Sealer: sealer(s.t), Log: log, WebhookPolicy: webhookPolicy(s.t),
		// A slow machine is no database that hangs.
		RequestTimeout:    2 * time.Minute,
		RequestsPerSecond: option.requestsPerSecond, BodyBudget: option.bodies, BodyPace: option.pace, ValidateResponses: true, ExtraRoutes: s.receiver(option, log),
		ExampleDomain: option.exampleDomain,
	})
	must(s.t, err)
	s.t.Cleanup(func() {
		if invalid := s.server.InvalidResponses(); invalid != 0 {
			s.t.Errorf("the server found %d of its own answers invalid", invalid)
		}
	})
	listener := httptest.NewUnstartedServer(s.server)
	listener.Start()
	s.t.Cleanup(listener.Close)
	s.url = listener.URL
	s.http = newClient(s.t, loadContract(s.t))
	if option.events != "" {
		must(s.t, s.sim.Publish(sessim.Events{
			URL: cmp.Or(option.publishTo, s.url+eventsPath), TopicARN: eventsTopic, Own: s.simURL, SignatureVersion: option.events,
		}))
	}
}

// sharedSpec is the spec of all servers in the process; it is only read.
var sharedSpec = sync.OnceValues(func() (*spec.Prepared, error) {
	source, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		return nil, err
	}
	return spec.Prepare(source)
})

// specOf returns the spec of the options, or openapi.yaml.
func (o options) specOf(t testing.TB) *spec.Prepared {
	t.Helper()
	if o.document == "" {
		return prepared(t)
	}
	found, err := spec.Prepare([]byte(o.document))
	must(t, err)
	return found
}

func prepared(t testing.TB) *spec.Prepared {
	t.Helper()
	found, err := sharedSpec()
	must(t, err)
	return found
}

const (
	eventsPath  = "/internal/ses/events"
	eventsTopic = "arn:aws:sns:" + region + ":000000000000:mailstack"
)

// receiver returns the route for the simulator's events, which the simulator signs. Without events there is none.
func (s *stack) receiver(option options, log *slog.Logger) []httpserver.Route {
	if option.events == "" {
		return nil
	}
	return snsreceiver.New(snsreceiver.Config{
		Path: eventsPath, Store: s.store, Now: s.clock.now, Log: log, Verifier: sns.New(sns.Config{
			Topics: []string{eventsTopic}, TrustedHost: strings.TrimPrefix(s.simURL, "http://"), Now: s.clock.now, Log: log,
		}),
	}).Routes()
}

// newClient returns a client that compares every exchange with the spec.
func newClient(t testing.TB, c *contract) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, ExpectContinueTimeout: 5 * time.Second}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     &recorder{next: transport, contract: c, ledger: &counted},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// startWorker runs the workers until the test ends.
func (s *stack) startWorker() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.mailer.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("workers: %v", err)
		}
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition, within a bound that only a defect reaches.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain for: %s", what)
		case <-tick.C:
		}
	}
}
