package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
)

const (
	// webhooksOfEach is the number of webhooks that an organization may have.
	webhooksOfEach = 20
	// deliveryBacklog is how many deliveries wait for each second of a load.
	deliveryBacklog = 15_000
	// perEndpoint is how many deliveries each endpoint answers, on average, before the measurement begins.
	perEndpoint = 200
	// eventRate is the events per second of the endpoint that is measured beside others.
	eventRate = 50
)

// deliveries measures how fast a worker delivers events to webhooks.
func (w *world) deliveries(ctx context.Context) error {
	for _, one := range []struct {
		name      string
		endpoints int
		into      *rateAndCost
	}{{"one", 1, &w.report.Deliveries.One}, {"hundred", 100, &w.report.Deliveries.Hundred}} {
		if err := w.deliverTo(ctx, one.name, one.endpoints, one.into); err != nil {
			return err
		}
	}
	return w.besideHanging(ctx)
}

func (w *world) deliverTo(ctx context.Context, name string, endpoints int, into *rateAndCost) (err error) {
	d, err := w.newDeliveryWorld(ctx, "deliveries-"+name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	backlog := perEndpoint + int(w.set.each.Seconds()+1)*deliveryBacklog/endpoints
	for range (endpoints + webhooksOfEach - 1) / webhooksOfEach {
		tenant, err := d.subscribe(ctx, "/slow", min(endpoints, webhooksOfEach))
		if err != nil {
			return err
		}
		if err := d.backlog(ctx, tenant, backlog); err != nil {
			return err
		}
	}
	for _, statement := range []string{"VACUUM ANALYZE deliveries", "CHECKPOINT"} {
		if _, err := d.database.Pool().Exec(ctx, statement); err != nil {
			return fmt.Errorf("write the tables: %w", err)
		}
	}
	if err := d.startWorker(ctx); err != nil {
		return err
	}
	// The connections are made, and the concurrency has grown.
	if err := d.await(ctx, func(got received) bool { return got.Answered >= int64(endpoints*perEndpoint) }); err != nil {
		return err
	}
	*into, err = d.rate(ctx)
	return err
}

// rate returns how many deliveries are answered per second, and what they cost.
func (d *deliveryWorld) rate(ctx context.Context) (rateAndCost, error) {
	before, worker, postgres, err := d.so(ctx)
	if err != nil {
		return rateAndCost{}, err
	}
	begun := time.Now()
	if err := wait(ctx, d.set.each); err != nil {
		return rateAndCost{}, err
	}
	after, workerAfter, postgresAfter, err := d.so(ctx)
	if err != nil {
		return rateAndCost{}, err
	}
	took, n := time.Since(begun), float64(after.Answered-before.Answered)
	return rateAndCost{
		PerSecond: n / took.Seconds(), Worker: float64((workerAfter - worker).Microseconds()) / n,
		Postgres: float64((postgresAfter - postgres).Microseconds()) / n,
	}, nil
}

// so returns what was received and the processor time so far.
func (d *deliveryWorld) so(ctx context.Context) (got received, worker, postgres time.Duration, err error) {
	if got, err = d.got(ctx, false); err != nil {
		return got, 0, 0, err
	}
	if worker, err = processorTime(d.worker.PID); err != nil {
		return got, 0, 0, err
	}
	postmaster, err := d.postmaster()
	if err != nil {
		return got, 0, 0, err
	}
	postgres, err = processorTime(postmaster)
	return got, worker, postgres, err
}

// besideHanging measures the time from an event to the request at an endpoint that answers at once, alone and beside forty
// endpoints of two organizations that never answer.
func (w *world) besideHanging(ctx context.Context) (err error) {
	d, err := w.newDeliveryWorld(ctx, "deliveries-beside")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	quiet, err := d.subscribe(ctx, "/answers", 1)
	if err != nil {
		return err
	}
	var others [2]harness.Tenant
	for i := range others {
		if others[i], err = d.subscribe(ctx, "/hangs", webhooksOfEach); err != nil {
			return err
		}
	}
	if err := d.startWorker(ctx); err != nil {
		return err
	}
	if err := d.events(ctx, quiet, warmUp, &latency{}); err != nil {
		return err
	}
	if err := d.events(ctx, quiet, d.set.each, &w.report.Deliveries.Alone); err != nil {
		return err
	}
	for _, other := range others {
		if err := d.backlog(ctx, other, 100); err != nil {
			return err
		}
	}
	// Their first connections, which are made on the same processors, are not part of it.
	var last int64
	err = d.await(ctx, func(got received) bool {
		if got.Hanging < 2*webhooksOfEach || got.Hanging != last {
			last = got.Hanging
			return wait(ctx, warmUp) != nil
		}
		return true
	})
	if err != nil {
		return err
	}
	return d.events(ctx, quiet, d.set.each, &w.report.Deliveries.Beside)
}

// events stores events for an organization at eventRate, and waits until they have arrived.
func (d *deliveryWorld) events(ctx context.Context, tenant harness.Tenant, during time.Duration, into *latency) error {
	if _, err := d.got(ctx, true); err != nil {
		return err
	}
	ticker := time.NewTicker(time.Second / eventRate)
	defer ticker.Stop()
	n := max(1, int(during.Seconds()*eventRate))
	begun := time.Now()
	for range n {
		<-ticker.C
		if err := d.backlog(ctx, tenant, 1); err != nil {
			return err
		}
	}
	into.PerSecond = float64(n) / time.Since(begun).Seconds()
	return d.await(ctx, func(got received) bool {
		if len(got.Took) < n {
			return false
		}
		into.P50, into.P99 = milliseconds(got.Took[len(got.Took)/2]), milliseconds(got.Took[len(got.Took)*99/100])
		return true
	})
}

// await waits until the endpoints have got what is wanted.
func (d *deliveryWorld) await(ctx context.Context, enough func(received) bool) error {
	ctx, cancel := context.WithTimeout(ctx, sendsLimit)
	defer cancel()
	for {
		got, err := d.got(ctx, false)
		if err != nil || enough(got) {
			return err
		}
		if err := wait(ctx, pollSends); err != nil {
			return fmt.Errorf("the endpoints have got too little: %w", err)
		}
	}
}

func wait(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
