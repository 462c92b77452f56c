package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
)

const (
	topic = "arn:aws:sns:us-east-1:000000000000:mailstack"
	look  = 100 * time.Millisecond
)

// member is a process of ours, which can be stopped and started again.
type member struct {
	name, url              string
	environment, arguments []string
	process                *harness.Process
}

// stage holds the processes of a part, and what was done to them.
type stage struct {
	ground    *harness.Harness
	database  *store.Store
	simulator harness.Simulator
	balancer  balancer
	standby   *devdb.Server
	// databaseURL is for our processes; empty means the harness's own.
	databaseURL   string
	apis, workers []*member
	began         time.Time
	progress      io.Writer

	mutex     sync.Mutex
	ambiguous int64
	// restored is when Postgres took writes again, down is for how long it had not.
	restored time.Time
	down     time.Duration
}

// open starts everything.
func (s *stage) open(ctx context.Context, p part) (err error) {
	if s.database, err = s.ground.Database(ctx, devdb.Database); err != nil {
		return err
	}
	if p.prepare != nil {
		if err := p.prepare(ctx, s); err != nil {
			return err
		}
	}
	var addresses [3]string
	for i := range addresses {
		if addresses[i], err = harness.FreeAddress(ctx); err != nil {
			return err
		}
	}
	ses, apis := addresses[0], addresses[1:]
	if s.balancer, err = newBalancer(ctx, apis); err != nil {
		return err
	}
	if err := s.startSES(ctx, ses); err != nil {
		return err
	}
	common := []string{"AWS_ENDPOINT_URL_SESV2=http://" + ses, "MAILSTACK_EVENTS_TOPICS=" + topic, "MAILSTACK_LOG_LEVEL=info"}
	if s.databaseURL != "" {
		common = append(common, "DATABASE_URL="+s.databaseURL)
	}
	offsets := p.offsets
	if len(offsets) == 0 {
		offsets = []string{"0", "0"}
	}
	for i, address := range apis {
		environment := append([]string{
			"MAILSTACK_ADDR=" + address, "MAILSTACK_RATE_LIMIT=0", "MAILSTACK_EVENTS_TRUSTED_HOST=" + ses,
		}, common...)
		s.apis = append(s.apis, &member{
			name: fmt.Sprintf("api-%d", i+1), url: "http://" + address, arguments: []string{"serve", "--no-worker"},
			environment: append(environment, p.environment...),
		})
		s.workers = append(s.workers, &member{
			name: fmt.Sprintf("worker-%d", i+1), arguments: []string{"worker"},
			environment: append(slices.Clone(common), "MAILSTACK_TEST_CLOCK_OFFSET="+offsets[i]),
		})
	}
	for _, one := range s.members() {
		if err := s.start(ctx, one); err != nil {
			return err
		}
	}
	if err := s.balancer.start(ctx, s.ground); err != nil {
		return err
	}
	return s.balancer.awaitAll(ctx)
}

func (s *stage) members() []*member { return append(append([]*member{}, s.apis...), s.workers...) }

// startSES starts the simulated SES, whose events go through HAProxy.
func (s *stage) startSES(ctx context.Context, address string) error {
	s.simulator = harness.Simulator{URL: "http://" + address}
	process, err := s.ground.Start(ctx, "simulator", devdb.Database, nil,
		"simulator", "--addr="+address, "--journal="+filepath.Join(s.ground.Folder, "journal"),
		"--events-url="+s.balancer.url+"/internal/ses/events", "--events-topic="+topic, "--log-level=warn")
	if err != nil {
		return err
	}
	return process.Await(ctx, s.simulator.URL+"/_sim/answers")
}

// start returns when the process is ready, or at once when it has no URL.
func (s *stage) start(ctx context.Context, one *member) (err error) {
	one.process, err = s.ground.Start(ctx, one.name, devdb.Database, one.environment, one.arguments...)
	if err != nil || one.url == "" {
		return err
	}
	if err := one.process.Await(ctx, one.url+"/readyz"); err != nil {
		return fmt.Errorf("%w: %s", err, s.ground.LastWords(one.name))
	}
	return nil
}

// restart ends the process as a supervisor does, and starts it again.
func (s *stage) restart(ctx context.Context, one *member) error {
	if err := one.process.Stop(); err != nil {
		return err
	}
	return s.start(ctx, one)
}

// checkAlive returns an error for a process that ended by itself.
func (s *stage) checkAlive() error {
	for _, one := range s.members() {
		select {
		case <-one.process.Ended():
			return fmt.Errorf("%s ended by itself: %s", one.name, s.ground.LastWords(one.name))
		default:
		}
	}
	return nil
}

// clients returns the clients of the load, for organizations of their own.
func (s *stage) clients(ctx context.Context, balanced bool) (*clients, error) {
	urls := []string{s.balancer.url}
	if !balanced {
		urls = []string{s.apis[0].url, s.apis[1].url}
	}
	const organizations, plenty = 3, 100_000_000
	tenants := make([]harness.Tenant, organizations)
	for i := range tenants {
		var err error
		if tenants[i], err = harness.NewTenant(ctx, s.database, plenty); err != nil {
			return nil, err
		}
		if err := s.simulator.Register(ctx, tenants[i].Domain); err != nil {
			return nil, err
		}
	}
	return newClients(urls, tenants), nil
}

// noteLeases counts as ambiguous what workers hold at this moment.
func (s *stage) noteLeases(ctx context.Context) {
	s.ambiguous += harness.Leases(ctx, s.database)
}

// noteRestored records that Postgres takes writes again, since the given time.
func (s *stage) noteRestored(gone time.Time) {
	s.restored = time.Now()
	s.down = s.restored.Sub(gone)
	s.say("Postgres takes writes again after %.1f s", s.down.Seconds())
}

// say prints a line of progress with the time since the start.
func (s *stage) say(format string, values ...any) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	// Progress is for people who watch; a failed write does not fail the run.
	_, _ = fmt.Fprintf(s.progress, "%6.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, values...))
}
