package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/notifications"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, s *store.Store, query string) (n int) {
	t.Helper()
	must(t, s.Pool().QueryRow(t.Context(), query).Scan(&n))
	return n
}

// insertTogether makes calls while a transaction is under way that makes the first of them wait, and returns their errors.
func insertTogether(t *testing.T, s *store.Store, given ...[]notifications.Notification) []error {
	t.Helper()
	inserter := notifications.NewInserter(s, time.Now)
	lock, err := s.Pool().Begin(t.Context())
	must(t, err)
	_, err = lock.Exec(t.Context(), "LOCK TABLE notifications IN SHARE MODE")
	must(t, err)
	var all sync.WaitGroup
	errs := make([]error, len(given))
	for i, one := range given {
		all.Go(func() { errs[i] = inserter.Insert(t.Context(), one...) })
		if i == 0 {
			awaitBlocked(t, s)
		}
	}
	// All but the first wait for its transaction; whichever is late forms a group of its own, which changes no result.
	must(t, lock.Commit(t.Context()))
	all.Wait()
	return errs
}

// awaitBlocked waits until an insert waits for a lock.
func awaitBlocked(t *testing.T, s *store.Store) {
	t.Helper()
	for count(t, s, "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("no insert waits")
		case <-time.After(time.Millisecond):
		}
	}
}

func one(id, body string) []notifications.Notification {
	return []notifications.Notification{{ID: id, Body: body}}
}

// TestWhatArrivesTogetherIsStoredTogether: hundreds of calls take a few transactions, and what was given together is in one.
func TestWhatArrivesTogetherIsStoredTogether(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	const calls = 600
	var given [][]notifications.Notification
	for i := range calls {
		given = append(given, []notifications.Notification{{ID: fmt.Sprint("a", i), Body: "x"}, {ID: fmt.Sprint("b", i%10), Body: "a\x00b\xff"}})
	}
	for i, err := range insertTogether(t, s, given...) {
		if err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	if n := count(t, s, "SELECT count(*) FROM notifications WHERE due_at = received_at AND body IN ('x', 'ab')"); n != calls+10 {
		t.Errorf("%d notifications are stored", n)
	}
	if n := count(t, s, "SELECT count(DISTINCT xmin::text) FROM notifications"); n > calls/4 {
		t.Errorf("they took %d transactions", n)
	}
}

// TestOneThatIsRefusedFailsAlone: Postgres refuses one of many, and each caller learns what became of its own.
func TestOneThatIsRefusedFailsAlone(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	_, err := s.Pool().Exec(t.Context(), "ALTER TABLE notifications ADD CONSTRAINT good CHECK (body <> 'bad')")
	must(t, err)
	const calls, bad = 100, 61
	var given [][]notifications.Notification
	for i := range calls {
		body := "good"
		if i == bad {
			body = "bad"
		}
		given = append(given, one(fmt.Sprint(i), body))
	}
	for i, err := range insertTogether(t, s, given...) {
		if (err != nil) != (i == bad) || i == bad && !strings.Contains(err.Error(), "good") {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if n := count(t, s, "SELECT count(*) FROM notifications"); n != calls-1 {
		t.Errorf("%d notifications are stored", n)
	}
}

// TestCallersMayGiveUp: a call that waits for the transaction of others ends with its context.
func TestCallersMayGiveUp(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	inserter := notifications.NewInserter(s, time.Now)
	lock, err := s.Pool().Begin(t.Context())
	must(t, err)
	_, err = lock.Exec(t.Context(), "LOCK TABLE notifications IN SHARE MODE")
	must(t, err)
	var first sync.WaitGroup
	first.Go(func() {
		if err := inserter.Insert(t.Context(), one("a", "x")...); err != nil {
			t.Error(err)
		}
	})
	awaitBlocked(t, s)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := inserter.Insert(gone, one("b", "x")...); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	must(t, lock.Commit(t.Context()))
	first.Wait()
	must(t, inserter.Insert(t.Context(), one("c", "x")...))
	must(t, inserter.Insert(t.Context()))
	if n := count(t, s, "SELECT count(*) FROM notifications WHERE message_id IN ('a', 'c')"); n != 2 {
		t.Errorf("%d notifications are stored", n)
	}
	if n := count(t, s, "SELECT count(*) FROM notifications WHERE message_id = 'b'"); n != 0 {
		t.Error("one that was withdrawn is stored")
	}
}

// TestAnEndOfTheDatabaseIsTold: without a database every call fails, and the next ones work when it is back.
func TestAnEndOfTheDatabaseIsTold(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	inserter := notifications.NewInserter(s, time.Now)
	// A connection of the pool that ended unseen fails no call.
	must(t, inserter.Insert(t.Context(), one("a", "x")...))
	_, err := s.Pool().Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	must(t, err)
	must(t, inserter.Insert(t.Context(), one("b", "x")...))
	s.Close()
	if err := inserter.Insert(t.Context(), one("c", "x")...); !store.IsUnavailable(err) {
		t.Errorf("it ended with %v", err)
	}
}
