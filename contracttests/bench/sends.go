package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/devdb"
)

const (
	// backlog is the number of messages queued before the worker starts.
	backlog = 30_000
	// idleRate and busyRate are the sends per second at which the time from acceptance to SES is measured: one
	// message after another, and with the machine at about half of its capacity.
	idleRate = 20
	busyRate = 1000
	// sendsLimit bounds the wait for the worker.
	sendsLimit = 2 * time.Minute
	pollSends  = 20 * time.Millisecond
)

// sends measures the worker against the simulator: how fast it clears a backlog, and the time from acceptance to
// SES.
func (w *world) sends(ctx context.Context) error {
	database, err := w.harness.Database(ctx, "sends")
	if err != nil {
		return err
	}
	defer database.Close()
	tenant, err := harness.NewTenant(ctx, database, plenty)
	if err != nil {
		return err
	}
	simulator, err := w.simulate(ctx)
	if err != nil {
		return err
	}
	defer simulator.Kill()
	if err := simulator.Register(ctx, tenant.Domain); err != nil {
		return err
	}
	if err := fill(ctx, database, tenant, backlog, true); err != nil {
		return err
	}
	worker, err := w.harness.Start(ctx, "worker", "sends",
		[]string{"AWS_ENDPOINT_URL_SESV2=" + simulator.URL, "MAILSTACK_LOG_LEVEL=warn", "MAILSTACK_ADMIN_ADDR=off"}, "worker")
	if err != nil {
		return err
	}
	defer worker.Kill()
	if w.report.Sends.PerSecond, err = simulator.clearing(ctx, backlog); err != nil {
		return err
	}
	at, err := w.serve(ctx, "latency", "sends")
	if err != nil {
		return err
	}
	defer at.Kill()
	// The next requests use this tenant's key.
	own := *w
	own.tenant = tenant
	for _, load := range []struct {
		rate        float64
		connections int
		into        *latency
	}{{idleRate, 1, &w.report.Sends.Idle}, {busyRate, 16, &w.report.Sends.Busy}} {
		if *load.into, err = own.toSES(ctx, at, simulator, load.rate, load.connections); err != nil {
			return err
		}
	}
	if err := errors.Join(at.Stop(), worker.Stop(), simulator.Stop()); err != nil {
		return err
	}
	if w.report.Sends.Hundred, err = w.sendsOfMany(ctx); err != nil {
		return err
	}
	w.report.Sends.Snapshot, err = w.sendsBesideSnapshot(ctx)
	return err
}

// toSES sends at a rate and returns the time from acceptance to SES.
func (w *world) toSES(ctx context.Context, at api, simulator simulator, perSecond float64, connections int) (latency, error) {
	before, err := simulator.accepted(ctx)
	if err != nil {
		return latency{}, err
	}
	pace := rate.NewLimiter(rate.Limit(perSecond), 1)
	request := harness.Request{Path: singlePath, Key: w.tenant.Key}
	load, err := harness.Drive(ctx, at.address, connections, w.set.each, request, func(to []byte, number int) []byte {
		// Wait fails when the run is interrupted; the next send reports that better.
		_ = pace.Wait(ctx)
		return w.single(to, number)
	})
	if err != nil {
		return latency{}, err
	}
	if _, err := simulator.await(ctx, before+int64(load.Requests)); err != nil {
		return latency{}, err
	}
	took := make([]time.Duration, 0, load.Requests)
	err = simulator.Journal(ctx, before, func(record harness.Record) {
		// The id holds the time of acceptance, to the millisecond.
		seconds, nanoseconds := uuid.MustParse(record.MessageID).Time().UnixTime()
		took = append(took, record.ReceivedAt.Sub(time.Unix(seconds, nanoseconds)))
	})
	if err != nil {
		return latency{}, err
	}
	slices.Sort(took)
	if len(took) == 0 {
		return latency{}, errors.New("nothing was sent")
	}
	return latency{
		PerSecond: load.PerSecond(), P50: milliseconds(took[len(took)/2]), P99: milliseconds(took[len(took)*99/100]),
	}, nil
}

// simulator is the simulated SES in a process of its own.
type simulator struct {
	*harness.Process
	harness.Simulator
}

func (w *world) simulate(ctx context.Context, arguments ...string) (simulator, error) {
	address, err := harness.FreeAddress(ctx)
	if err != nil {
		return simulator{}, err
	}
	process, err := w.harness.Start(ctx, "simulator", devdb.Database,
		[]string{"MAILSTACK_SIMULATOR_ADDR=" + address, "MAILSTACK_LOG_LEVEL=warn"}, append([]string{"simulator"}, arguments...)...)
	if err != nil {
		return simulator{}, err
	}
	return simulator{process, harness.Simulator{URL: "http://" + address}}, process.Await(ctx, "http://"+address+"/_sim/stats")
}

// clearing returns the messages sent per second, from the first to the last that SES accepted.
func (s simulator) clearing(ctx context.Context, messages int64) (float64, error) {
	first, err := s.await(ctx, 1)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	last, err := s.await(ctx, messages)
	return float64(last-first) / time.Since(begun).Seconds(), err
}

// await waits until SES has accepted at least messages messages, and returns how many it has accepted.
func (s simulator) await(ctx context.Context, messages int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, sendsLimit)
	defer cancel()
	ticker := time.NewTicker(pollSends)
	defer ticker.Stop()
	for {
		taken, err := s.accepted(ctx)
		if err != nil || taken >= messages {
			return taken, err
		}
		select {
		case <-ctx.Done():
			return taken, fmt.Errorf("SES has accepted %d of %d messages: %w", taken, messages, ctx.Err())
		case <-ticker.C:
		}
	}
}

func (s simulator) accepted(ctx context.Context) (int64, error) {
	var stats struct {
		Accepted int64 `json:"accepted"`
	}
	err := s.Call(ctx, http.MethodGet, "/_sim/stats", nil, &stats)
	return stats.Accepted, err
}
