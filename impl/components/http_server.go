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
	requestTimeout = 60 * time.Second // enough for the largest body over a slow connection
	// responseTimeout begins with requestTimeout, at the end of the header: a request that took all of it still gets a
	// response.
	responseTimeout = requestTimeout + 30*time.Second
	idleTimeout     = 2 * time.Minute // longer than the load balancers' usual minute, so that they close first
	maxHeaderBytes  = 32 << 10
)

// Listen binds the address, before anything else is started. Its error names the variable that sets the address.
func Listen(ctx context.Context, address, variable string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use by another process: stop that process, or set %s to another address", address, variable)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", address, variable, err)
	}
	return listener, nil
}

// NewHTTPServer returns a server with the limits above, which logs its own errors at debug level.
func NewHTTPServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      responseTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP serves until ctx ends, then calls drain and gives requests in flight the timeout to finish.
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
		return errors.Join(fmt.Errorf("finish the requests in flight: %w", err), server.Close())
	}
	return nil
}

// BaseURL returns the URL by which a program on this machine reaches the listener.
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

// IgnoreClosed wraps a Close of a listener that may be closed already: it drops net.ErrClosed.
func IgnoreClosed(closer func() error) func() error {
	return func() error {
		if err := closer(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}
