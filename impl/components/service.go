package components

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/worker"
)

// Service is a process that runs until it is told to stop: an API, a dispatcher, or both.
type Service struct {
	API      *rest.Server // nil: none is served
	Listener net.Listener // of the API
	// MaxConnections bounds those that the listener takes at once.
	MaxConnections int
	Telemetry      *Telemetry
	Worker         *worker.Worker
	// Background are parts that need no draining: they end soon after their context does. The error of one stops all.
	Background []func(ctx context.Context) error
	// Ready returns once the database has the tables that the dispatcher needs, or fails for good.
	Ready        func(ctx context.Context) error
	DrainTimeout time.Duration
	Log          *slog.Logger
}

// Run runs the parts until ctx ends or one of them fails, and then drains all of them at the same time: the API
// refuses new requests and finishes those under way, the dispatcher claims no more, finishes what is being sent and
// stores its outcome.
func (s *Service) Run(ctx context.Context) error {
	// What a process tells of itself it tells while it drains, too.
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

// serve keeps what runs beside the requests alive until the last of them is answered.
func (s *Service) serve(ctx context.Context) error {
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { s.API.Run(beside) })
	err := ServeHTTP(ctx, NewHTTPServer(s.API, s.Log), netutil.LimitListener(s.Listener, s.MaxConnections), s.API.Drain, s.DrainTimeout)
	stop()
	running.Wait()
	return err
}
