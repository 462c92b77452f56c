package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestOpenHidesThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"postgres://a:hidden-word@h:notaport/x", "postgres://a:hidden-word@h/x?sslmode=nonsense"} {
		_, err := store.Open(t.Context(), store.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hidden-word") {
			t.Errorf("got %v", err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	for _, test := range []struct {
		url  string
		want map[string]string
	}{
		{url, map[string]string{
			"statement_timeout": "30s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s",
			"TimeZone": "UTC", "application_name": t.Name(),
		}},
		{url + "&statement_timeout=7s&application_name=mine", map[string]string{
			"statement_timeout": "7s", "lock_timeout": "10s", "application_name": "mine",
		}},
	} {
		s := storetest.Open(t, test.url)
		for setting, want := range test.want {
			var got string
			if err := s.Pool().QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, want %q, error %v", setting, got, want, err)
			}
		}
	}
}

// warm opens all connections of the pool.
func warm(t *testing.T, s *store.Store) {
	t.Helper()
	for range s.Pool().Config().MaxConns {
		conn, err := s.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
}

func TestRestartOfPostgresIsNoticedOnceAtMost(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	s := storetest.Open(t, server.DSN(devdb.Database))
	for _, stop := range []struct {
		name string
		run  func() error
	}{
		{"crash", server.Kill},
		{"restart", func() error { return nil }},
	} {
		warm(t, s)
		if err := stop.run(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for range 2 * s.Pool().Config().MaxConns {
			_, err := s.Queries().OrganizationList(t.Context())
			if err == nil {
				continue
			}
			failed++
			if !store.IsUnavailable(err) {
				t.Errorf("%s: not recognised: %v", stop.name, err)
			}
		}
		if failed > 1 {
			t.Errorf("%s: %d statements failed", stop.name, failed)
		}
	}
}

func TestTransactionsDoNotNoticeARestartOfPostgres(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	s := storetest.Open(t, server.DSN(devdb.Database))
	warm(t, s)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second", "third"} {
		if err := s.Tx(t.Context(), func(tx *db.Queries) error { return insert(t.Context(), tx, name) }); err != nil {
			t.Error(err)
		}
	}
	warm(t, s)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := s.TxPipelined(t.Context(), func(tx *db.Queries) error {
		if _, err := tx.OrganizationList(t.Context()); err != nil {
			return err
		}
		return insert(t.Context(), tx, "fourth")
	})
	if err != nil {
		t.Error(err)
	}
	if n := count(t, s); n != 4 {
		t.Errorf("%d rows", n)
	}
}

func TestPostgresGoneAndBack(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	s := storetest.Open(t, server.DSN(devdb.Database))
	if err := insert(t.Context(), s.Queries(), "kept"); err != nil {
		t.Fatal(err)
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := s.Queries().OrganizationList(t.Context()); !store.IsUnavailable(err) {
			t.Errorf("a query: %v", err)
		}
		if err := s.Tx(t.Context(), func(*db.Queries) error { return nil }); !store.IsUnavailable(err) {
			t.Errorf("a transaction: %v", err)
		}
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestPostgresGoneInATransaction(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	s := storetest.Open(t, server.DSN(devdb.Database))
	err := s.Tx(t.Context(), func(tx *db.Queries) error {
		if err := insert(t.Context(), tx, "lost"); err != nil {
			return err
		}
		if err := server.Kill(); err != nil {
			return err
		}
		return insert(t.Context(), tx, "never")
	})
	if !store.IsUnavailable(err) {
		t.Errorf("got %v", err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, s); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	s := storetest.Open(t, server.DSN(devdb.Database))
	ctx, cancel := context.WithCancel(t.Context())
	woken, ended := make(chan struct{}, 100), make(chan struct{})
	go func() {
		defer close(ended)
		s.Listen(ctx, "odd\"name", func(string) { woken <- struct{}{} })
	}()
	await := func(what string) {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(2 * time.Minute):
			t.Fatal("not woken by ", what)
		}
	}
	notify := func() {
		t.Helper()
		if _, err := s.Pool().Exec(t.Context(), "SELECT pg_notify('odd\"name', '')"); err != nil {
			t.Fatal(err)
		}
	}
	await("the connect")
	for range 3 {
		notify()
		await("a notification")
	}
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	await("the reconnect")
	if err := s.Ping(t.Context()); err != nil {
		// The one connection that the crash cut.
		t.Logf("after the crash: %v", err)
	}
	notify()
	await("a notification after the crash")
	if extra := len(woken); extra != 0 {
		t.Errorf("woken %d times too often", extra)
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(2 * time.Minute):
		t.Error("Listen does not end with its context")
	}
}
