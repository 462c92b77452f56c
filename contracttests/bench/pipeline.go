package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/store"
)

const (
	// pipelineTenants organizations with a webhook each send, over pipelineConnections connections each.
	pipelineTenants     = 4
	pipelineConnections = 16
	// mayWait is how long the oldest due row may have been due while the pipeline keeps up.
	mayWait      = 2 * time.Second
	drainLimit   = time.Minute
	pollPipeline = 50 * time.Millisecond
	// eachMessage is how many events are delivered of a message: that it was sent, and that it arrived.
	eachMessage = 2
)

// pipelineRates are the rates that are tried one after the other, in messages per second.
func pipelineRates() []float64 {
	return []float64{100, 200, 400, 600, 800, 1000, 1250, 1500, 1750, 2000, 2500, 3000}
}

// pipelineFigures are the highest rate that kept up for Seconds: how long the oldest due row had been due at most, and the
// processor time of each message, in microseconds.
type pipelineFigures struct {
	PerSecond float64 `json:"perSecond"`
	Seconds   float64 `json:"seconds"`
	Oldest    float64 `json:"oldestSeconds"`
	Server    float64 `json:"serverMicroseconds"`
	Worker    float64 `json:"workerMicroseconds"`
	Postgres  float64 `json:"postgresMicroseconds"`
	Client    float64 `json:"clientMicroseconds"`
	// InPlace is about all rates that were tried.
	InPlace inPlaceFigures `json:"updatesInPlacePercent"`
}

// pipelineWorld is everything that a message passes: API, Postgres, worker, SES with its queue of events, and webhooks.
type pipelineWorld struct {
	*deliveryWorld
	simulator simulator
	tenants   []harness.Tenant
}

// pipeline finds the highest rate at which accepting, sending, two events out of a queue and a webhook for both keep up.
func (w *world) pipeline(ctx context.Context) (err error) {
	p, err := w.newPipeline(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	w.report.Pipeline = &pipelineFigures{}
	rates, reached := pipelineRates(), 0
	for ; reached < len(rates); reached++ {
		kept, err := p.keepsUp(ctx, rates[reached], w.set.each)
		if err != nil {
			return err
		}
		if kept.PerSecond == 0 {
			break
		}
	}
	// What one load lasts is too short for something that grows slowly.
	whole := 10 * w.set.each
	if w.set.each < 6*time.Second {
		whole = 3 * w.set.each
	}
	for ; reached > 0; reached-- {
		p.drain(ctx)
		kept, err := p.keepsUp(ctx, rates[reached-1], whole)
		if err != nil || kept.PerSecond > 0 {
			*w.report.Pipeline = kept
			if err == nil {
				w.report.Pipeline.InPlace, err = updatesInPlace(ctx, p.database)
			}
			return err
		}
	}
	return nil
}

func (w *world) newPipeline(ctx context.Context) (_ *pipelineWorld, err error) {
	const name = "pipeline"
	p := &pipelineWorld{}
	if p.deliveryWorld, err = w.newDeliveryWorld(ctx, name); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.simulator, err = w.simulate(ctx, "--deliver-all", "--signing-key-bits=0"); err != nil {
		return nil, err
	}
	for range pipelineTenants {
		tenant, err := p.subscribe(ctx, "/slow", 1, "email.sent", "email.delivered")
		if err == nil {
			err = p.simulator.Register(ctx, tenant.Domain)
		}
		if err != nil {
			return nil, err
		}
		p.tenants = append(p.tenants, tenant)
	}
	environment := []string{"AWS_ENDPOINT_URL=" + p.simulator.URL, "MAILSTACK_LOG_LEVEL=warn"}
	events, err := p.queue(ctx, environment)
	if err != nil {
		return nil, err
	}
	environment = append(append(environment, events...), "SSL_CERT_FILE="+p.trusted, "MAILSTACK_WEBHOOK_PREFIXES=127.0.0.0/8")
	p.worker, err = w.harness.Start(ctx, "pipeline-worker", name, environment, "worker")
	return p, err
}

// queue sets up SES to put its events into a queue, and returns the settings that the command prints.
func (p *pipelineWorld) queue(ctx context.Context, environment []string) (settings []string, err error) {
	const name = "pipeline-setup"
	setup, err := p.harness.Start(ctx, name, "pipeline", environment, "ses", "setup", "--queue=events")
	if err != nil {
		return nil, err
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-setup.Ended():
	}
	said, err := os.ReadFile(filepath.Join(p.harness.Folder, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("read what the setup says: %w", err)
	}
	for line := range strings.Lines(string(said)) {
		if setting, found := strings.CutPrefix(line, "export "); found {
			settings = append(settings, strings.TrimSpace(setting))
		}
	}
	if len(settings) == 0 {
		return nil, fmt.Errorf("the setup failed: %s", said)
	}
	return settings, nil
}

func (p *pipelineWorld) close() error {
	err := p.deliveryWorld.close()
	if p.simulator.Process != nil {
		p.simulator.Kill()
	}
	return err
}

// keepsUp sends at a rate for a time. Its figures are empty if something fell behind.
func (p *pipelineWorld) keepsUp(ctx context.Context, perSecond float64, during time.Duration) (pipelineFigures, error) {
	before, err := p.got(ctx, false)
	if err != nil {
		return pipelineFigures{}, err
	}
	spent, err := p.spentOn(ctx)
	if err != nil {
		return pipelineFigures{}, err
	}
	watching, stop := context.WithCancel(ctx)
	watch := watchOldest(watching, p.database)
	load, failed := p.send(ctx, perSecond, during)
	if failed == nil {
		failed = p.arrived(ctx, before.Answered+int64(eachMessage*load.Requests))
	}
	stop()
	oldest, err := watch()
	if err != nil || failed != nil && !errors.Is(failed, errBehind) {
		return pipelineFigures{}, errors.Join(err, failed)
	}
	figures, err := spent(ctx, float64(load.Requests))
	if err != nil || failed != nil || oldest > mayWait || float64(load.Requests) < 0.95*perSecond*during.Seconds() {
		return pipelineFigures{}, err
	}
	figures.PerSecond, figures.Seconds, figures.Oldest = load.PerSecond(), during.Seconds(), oldest.Seconds()
	return figures, nil
}

// errBehind is returned when what was sent has not arrived in time.
var errBehind = errors.New("the pipeline is behind")

// send sends at a rate, in equal parts from all tenants.
func (p *pipelineWorld) send(ctx context.Context, perSecond float64, during time.Duration) (harness.Load, error) {
	loads, failures := make([]harness.Load, len(p.tenants)), make([]error, len(p.tenants))
	var sending sync.WaitGroup
	for i, tenant := range p.tenants {
		own := *p.world
		own.tenant = tenant
		pace := rate.NewLimiter(rate.Limit(perSecond/float64(len(p.tenants))), 1)
		sending.Go(func() {
			request := harness.Request{Path: singlePath, Key: tenant.Key}
			loads[i], failures[i] = harness.Drive(ctx, p.at.address, pipelineConnections, during, request, func(to []byte, number int) []byte {
				_ = pace.Wait(ctx) // the next send reports the end of ctx
				return own.single(to, number)
			})
		})
	}
	sending.Wait()
	total := harness.Load{}
	for _, load := range loads {
		total.Requests += load.Requests
		total.Elapsed = max(total.Elapsed, load.Elapsed)
	}
	return total, errors.Join(failures...)
}

// arrived waits until the endpoints have answered so many deliveries, twice as long as a row may be due.
func (p *pipelineWorld) arrived(ctx context.Context, answered int64) error {
	deadline := time.Now().Add(2 * mayWait)
	for time.Now().Before(deadline) {
		got, err := p.got(ctx, false)
		if err != nil || got.Answered >= answered {
			return err
		}
		if err := wait(ctx, pollPipeline); err != nil {
			return err
		}
	}
	return errBehind
}

// drain waits until nothing is due, after a rate that was too high. What does not end in time fails the next rate.
func (p *pipelineWorld) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	for last := int64(-1); ; {
		got, err := p.got(ctx, false)
		if err != nil || got.Answered == last && harness.Count(ctx, p.database, "SELECT count(*) FROM sends") == 0 {
			return
		}
		last = got.Answered
		if wait(ctx, warmUp) != nil {
			return
		}
	}
}

// watchOldest looks at what is due until ctx ends. What it returns waits for that, and returns for how long the oldest row was.
func watchOldest(ctx context.Context, database *store.Store) func() (time.Duration, error) {
	const query = `
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(due_at)), 0)::float8 FROM (
    SELECT due_at FROM sends WHERE leased_until IS NULL
    UNION ALL SELECT due_at FROM notifications WHERE due_at IS NOT NULL
    UNION ALL SELECT due_at FROM deliveries WHERE due_at IS NOT NULL AND leased_until IS NULL
) AS due`
	var oldest float64
	var failure error
	var watching sync.WaitGroup
	watching.Go(func() {
		for failure == nil && wait(ctx, pollPipeline) == nil {
			var age float64
			if err := database.Pool().QueryRow(context.WithoutCancel(ctx), query).Scan(&age); err != nil {
				failure = fmt.Errorf("look at what is due: %w", err)
			}
			oldest = max(oldest, age)
		}
	})
	return func() (time.Duration, error) {
		watching.Wait()
		return time.Duration(oldest * float64(time.Second)), failure
	}
}

// spentOn begins to measure processor time. What it returns ends that, for so many messages.
func (p *pipelineWorld) spentOn(ctx context.Context) (func(ctx context.Context, messages float64) (pipelineFigures, error), error) {
	now := func(ctx context.Context) (server spent, worker time.Duration, err error) {
		if server, err = p.spent(ctx, p.at); err != nil {
			return server, 0, err
		}
		worker, err = processorTime(p.worker.PID)
		return server, worker, err
	}
	before, workerBefore, err := now(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, messages float64) (pipelineFigures, error) {
		after, worker, err := now(ctx)
		each := func(d time.Duration) float64 { return float64(d.Microseconds()) / messages }
		return pipelineFigures{
			Server: each(after.server - before.server), Worker: each(worker - workerBefore),
			Postgres: each(after.postgres - before.postgres), Client: each(after.client - before.client),
		}, err
	}, nil
}

func (f *pipelineFigures) write(line func(string, ...any)) {
	line("\npipeline\tper second\tfor s\toldest due s\tserver us\tworker us\tPostgres us\tclient us")
	line("two events and a webhook for each\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f",
		f.PerSecond, f.Seconds, f.Oldest, f.Server, f.Worker, f.Postgres, f.Client)
	line("\nupdates that write to no index (HOT)\temails %%\trecipients %%")
	line("of the pipeline\t%.0f\t%.0f", f.InPlace.Emails, f.InPlace.Recipients)
}
