package components

import (
	"context"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/worker"
)

// Service is a process that runs until it is told to stop: an API, a worker, or both.
type Service struct {
	API      *rest.Server // nil without an API
	Listener net.Listener // of the API
	// MaxConnections bounds the open connections of the listener.
	MaxConnections int
	Telemetry      *Telemetry
	Worker         *worker.Worker
	// Background functions need no draining: they return soon after their context ends. An error stops the process.
	Background []func(ctx context.Context) error
	// Ready returns once the database has the schema that the worker needs, or fails permanently.
	Ready        func(ctx context.Context) error
	DrainTimeout time.Duration
	// LameDuck is the part of the drain timeout in which the API still answers everything, but is not ready.
	LameDuck time.Duration
	// Process receives further signals; nil where none are awaited.
	Process *Process
	Log     *slog.Logger
}

// Run runs the parts until ctx ends or one of them fails, and then drains all of them at the same time: the API
// refuses new requests and finishes those in flight; the worker claims no more messages, finishes those in flight and
// stores their outcomes.
func (s *Service) Run(ctx context.Context) error {
	// Metrics are served while the process drains, too.
	watched, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	watching.Go(func() { s.Telemetry.serve(watched) })
	group, ctx := errgroup.WithContext(ctx)
	if s.API != nil {
		group.Go(func() error { return s.serve(ctx) })
	}
	group.Go(func() error {
		if err := s.Ready(ctx); err != nil || s.Worker == nil || ctx.Err() != nil {
			return err
		}
		return s.Worker.Run(ctx)
	})
	for _, part := range s.Background {
		group.Go(func() error { return part(ctx) })
	}
	unwatch := context.AfterFunc(ctx, func() {
		s.Log.InfoContext(ctx, "stopping", slog.String("at_most", s.DrainTimeout.String()))
	})
	defer unwatch()
	return group.Wait()
}

// serve serves the API, and keeps its background work running until the last request has its response.
func (s *Service) serve(ctx context.Context) error {
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { s.API.Run(beside) })
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	unwatch := context.AfterFunc(ctx, func() {
		s.lameDuck(ctx)
		end()
	})
	defer unwatch()
	err := ServeHTTP(serving, NewHTTPServer(s.API, s.Log), netutil.LimitListener(s.Listener, s.MaxConnections), s.API.Drain, s.DrainTimeout-s.LameDuck)
	stop()
	running.Wait()
	return err
}

// lameDuck lets load balancers see that the process is not ready before its port is closed. A further signal ends the wait.
func (s *Service) lameDuck(ctx context.Context) {
	if s.Process != nil {
		defer s.Process.releaseSignals()
	}
	if s.LameDuck <= 0 {
		return
	}
	s.API.LameDuck()
	timer := time.NewTimer(s.LameDuck)
	defer timer.Stop()
	var again <-chan os.Signal
	if s.Process != nil {
		again = s.Process.Again
	}
	s.Log.InfoContext(ctx, "not ready; still answering", slog.String("lame_duck", s.LameDuck.String()))
	select {
	case <-timer.C:
	case <-again:
	}
}
