package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/voostack/mailstack/contracttests/harness"
	"github.com/voostack/mailstack/impl/backoff"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
)

const follows = 30 * time.Second

// addStandby gives Postgres a standby that every commit waits for, and our processes a URL with both.
func addStandby(ctx context.Context, s *stage) (err error) {
	if s.standby, err = s.ground.Standby(ctx); err != nil {
		return err
	}
	if err := s.awaitStreaming(ctx); err != nil {
		return err
	}
	if err := s.configure(ctx, "ALTER SYSTEM SET synchronous_standby_names = '*'"); err != nil {
		return err
	}
	if s.databaseURL, err = bothHosts(s.ground.Postgres.DSN(devdb.Database), s.standby.DSN(devdb.Database)); err != nil {
		return err
	}
	s.database.Close()
	s.database, err = store.Open(ctx, store.Config{URL: s.databaseURL, Name: "harness", MaxConns: 4})
	return err
}

// bothHosts returns a URL that leads to whichever of two servers takes writes.
func bothHosts(first, second string) (string, error) {
	one, err := url.Parse(first)
	if err != nil {
		return "", fmt.Errorf("read the URL of Postgres: %w", err)
	}
	other, err := url.Parse(second)
	if err != nil {
		return "", fmt.Errorf("read the URL of the standby: %w", err)
	}
	query := one.Query()
	for _, name := range []string{"host", "port"} {
		query.Set(name, query.Get(name)+","+other.Query().Get(name))
	}
	query.Set("target_session_attrs", "read-write")
	one.RawQuery = query.Encode()
	return one.String(), nil
}

func (s *stage) awaitStreaming(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, follows)
	defer cancel()
	for harness.Count(ctx, s.database, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == 0 {
		if err := backoff.Sleep(ctx, look); err != nil {
			return fmt.Errorf("the standby does not follow: %w", err)
		}
	}
	return nil
}

// failOver kills Postgres, and promotes the standby after the time that it takes to decide so.
func failOver(ctx context.Context, s *stage, decides time.Duration) error {
	s.noteLeases(ctx)
	s.say("kill Postgres")
	gone := time.Now()
	if err := s.ground.Postgres.Kill(); err != nil {
		return err
	}
	if err := backoff.Sleep(ctx, decides); err != nil {
		return err
	}
	s.say("promote the standby")
	admin, err := store.Open(ctx, store.Config{URL: s.standby.DSN("postgres"), Name: "harness", MaxConns: 1})
	if err != nil {
		return err
	}
	defer admin.Close()
	var promoted bool
	if err := admin.Pool().QueryRow(ctx, "SELECT pg_promote(true, 60)").Scan(&promoted); err != nil || !promoted {
		return fmt.Errorf("promote the standby (%t): %w", promoted, err)
	}
	s.noteRestored(gone)
	return nil
}
