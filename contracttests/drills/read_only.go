package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/voostack/mailstack/impl/backoff"
)

// readOnly makes Postgres refuse writes, in sessions that exist already too.
func readOnly(ctx context.Context, s *stage, duration time.Duration) error {
	gone := time.Now()
	s.say("Postgres becomes read-only")
	if err := s.configure(ctx, "ALTER SYSTEM SET default_transaction_read_only = on"); err != nil {
		return err
	}
	waited := backoff.Sleep(ctx, duration)
	if err := s.configure(ctx, "ALTER SYSTEM RESET default_transaction_read_only"); err != nil {
		return errors.Join(waited, err)
	}
	s.noteRestored(gone)
	return waited
}

// configure changes a setting of Postgres for every session.
func (s *stage) configure(ctx context.Context, statement string) error {
	for _, one := range []string{statement, "SELECT pg_reload_conf()"} {
		if _, err := s.database.Pool().Exec(ctx, one); err != nil {
			return fmt.Errorf("configure Postgres: %w", err)
		}
	}
	return nil
}
