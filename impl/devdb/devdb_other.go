//go:build !unix

package devdb

import (
	"context"
	"errors"
)

// Server is a running Postgres. This system cannot run one.
type Server struct{}

// Start always fails on this system.
func Start(context.Context, Options) (*Server, error) {
	return nil, errors.New("a private Postgres needs a Unix system: set DATABASE_URL to a Postgres server of your own")
}

// DSN returns an empty string.
func (s *Server) DSN(string) string { return "" }

// Done returns nil.
func (s *Server) Done() <-chan struct{} { return nil }

// Stop does nothing.
func (s *Server) Stop() error { return nil }

// Kill does nothing.
func (s *Server) Kill() error { return nil }

// Restart does nothing.
func (s *Server) Restart(context.Context) error { return nil }
