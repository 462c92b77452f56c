package command

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

// service is a process that runs until it is told to stop: an API, a dispatcher, or both.
type service struct {
	api      *rest.Server // nil: none is served
	listener net.Listener // of the API
	// maxConnections bounds those that the listener takes at once.
	maxConnections int
	watch          *watch
	dispatcher     *worker.Worker
	// background are parts that need no draining: they end soon after their context does. The error of one stops all.
	background []func(ctx context.Context) error
	// ready returns once the database has the tables that the dispatcher needs, or fails for good.
	ready        func(ctx context.Context) error
	drainTimeout time.Duration
	log          *slog.Logger
}

// run runs the parts until ctx ends or one of them fails, and then drains all of them at the same time: the API
// refuses new requests and finishes those under way, the dispatcher claims no more, finishes what is being sent and
// stores its outcome.
func (s *service) run(ctx context.Context) error {
	// What a process tells of itself it tells while it drains, too.
	watched, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	watching.Go(func() { s.watch.serve(watched) })
	group, ctx := errgroup.WithContext(ctx)
	if s.api != nil {
		group.Go(func() error { return s.serve(ctx) })
	}
	group.Go(func() error {
		if err := s.ready(ctx); err != nil || s.dispatcher == nil || ctx.Err() != nil {
			return err
		}
		return s.dispatcher.Run(ctx)
	})
	for _, part := range s.background {
		group.Go(func() error { return part(ctx) })
	}
	unwatch := context.AfterFunc(ctx, func() {
		s.log.InfoContext(ctx, "stopping", slog.String("at_most", s.drainTimeout.String()))
	})
	defer unwatch()
	return group.Wait()
}

// serve keeps what runs beside the requests alive until the last of them is answered.
func (s *service) serve(ctx context.Context) error {
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { s.api.Run(beside) })
	err := serveHTTP(ctx, newHTTPServer(s.api, s.log), netutil.LimitListener(s.listener, s.maxConnections), s.api.Drain, s.drainTimeout)
	stop()
	running.Wait()
	return err
}
