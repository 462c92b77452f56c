package components

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	headerTimeout  = 10 * time.Second
	requestTimeout = 60 * time.Second // the largest body over a slow line
	// answerTimeout begins with requestTimeout, at the end of the header: whoever took all of that still gets an answer.
	answerTimeout  = requestTimeout + 30*time.Second
	idleTimeout    = 2 * time.Minute // longer than the load balancers' usual minute, so that they hang up first
	maxHeaderBytes = 32 << 10
)

// Listen takes the address before anything else is started.
func Listen(ctx context.Context, address, variable string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another process: stop that one, or set %s to another address", address, variable)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", address, variable, err)
	}
	return listener, nil
}

func NewHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP serves until ctx ends, calls drain, and lets the requests under way finish within the timeout.
func ServeHTTP(ctx context.Context, server *http.Server, listener net.Listener, drain func(), timeout time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	drain()
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if err := server.Shutdown(finish); err != nil {
		return errors.Join(fmt.Errorf("finish the requests under way: %w", err), server.Close())
	}
	return nil
}

// BaseURL is how a program on this machine reaches the listener.
func BaseURL(listener net.Listener) string {
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "http://" + listener.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// IgnoreClosed is for what may have been closed by others in the meantime.
func IgnoreClosed(closer func() error) func() error {
	return func() error {
		if err := closer(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}
