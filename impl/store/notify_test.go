package store_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/store/storetest"
)

// TestNotifySoonWakesListeners: a listener is woken after a call, and many calls at once do not wake it as often.
func TestNotifySoonWakesListeners(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	var woken atomic.Int64
	var listening sync.WaitGroup
	listening.Go(func() { s.Listen(ctx, "soon", func(string) { woken.Add(1) }) })
	defer listening.Wait()
	defer stop()
	until := func(least int64) {
		t.Helper()
		for woken.Load() < least {
			select {
			case <-t.Context().Done():
				t.Fatalf("woken %d times, want %d", woken.Load(), least)
			case <-time.After(time.Millisecond):
			}
		}
	}
	until(1) // the connect
	const calls = 1000
	var calling sync.WaitGroup
	for range calls {
		calling.Go(func() { s.NotifySoon("soon") })
	}
	calling.Wait()
	until(2)
	before := woken.Load()
	s.NotifySoon("soon")
	until(before + 1)
	if all := woken.Load(); all > calls/2 {
		t.Errorf("woken %d times by %d calls", all, calls+1)
	}
}
