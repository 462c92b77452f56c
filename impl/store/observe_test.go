package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestListeningTellsOfALostConnection: a connection for notifications that is gone shows as such until it is back.
func TestListeningTellsOfALostConnection(t *testing.T) {
	t.Parallel()
	server := storetest.Server(t)
	s := storetest.Open(t, server.DSN(devdb.Database))
	ctx, stop := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	listening.Go(func() { s.Listen(ctx, "channel", func(string) {}) })
	until := func(connected bool) {
		t.Helper()
		for s.Listening()["channel"] != connected {
			select {
			case <-t.Context().Done():
				t.Fatalf("it never is %v", connected)
			case <-time.After(time.Millisecond):
			}
		}
	}
	until(true)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	until(false)
	stop()
	listening.Wait()
	if channels := s.Listening(); len(channels) != 0 {
		t.Errorf("it listens to %v after its end", channels)
	}
}

func TestPoolStateCountsWaits(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	var all []interface{ Release() }
	for range s.PoolState().Max {
		conn, err := s.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	before := s.PoolState()
	waited := make(chan error, 1)
	go func() { waited <- s.Ping(t.Context()) }()
	all[0].Release()
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if after := s.PoolState(); before.Used != before.Max || after.Acquires <= before.Acquires {
		t.Errorf("before %+v, after %+v", before, after)
	}
	for _, conn := range all[1:] {
		conn.Release()
	}
}

func TestOldestPartitions(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	old := time.Date(2021, 3, 1, 0, 0, 0, 0, time.UTC)
	if err := s.EnsurePartitions(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	oldest, err := s.OldestPartitions(t.Context())
	if err != nil || !oldest["emails"].Equal(old.AddDate(0, -1, 0)) || len(oldest) != 5 {
		t.Errorf("got %v, error %v", oldest, err)
	}
}
