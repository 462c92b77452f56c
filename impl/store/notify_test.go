package store_test

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

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

// TestNotifySendsNamesOrganizations: every organization is named to listeners, however many calls there are at once and
// however many organizations, and the first time at which anything is due.
func TestNotifySendsNamesOrganizations(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	payloads := make(chan string, 10_000)
	var listening sync.WaitGroup
	listening.Go(func() { s.Listen(ctx, "sends", func(payload string) { payloads <- payload }) })
	defer listening.Wait()
	defer stop()
	if first := <-payloads; first != "" {
		t.Fatalf("the first call on connect has the payload %q", first)
	}
	organizations := make([]uuid.UUID, 300)
	for i := range organizations {
		organizations[i] = uuid.New()
	}
	due := time.UnixMicro(1_700_000_000_000_000)
	var calling sync.WaitGroup
	for i := range organizations {
		calling.Go(func() { s.NotifySends(due.Add(time.Duration(i)*time.Second), organizations[:i+1]) })
	}
	calling.Wait()
	earliest, named := int64(math.MaxInt64), map[string]bool{}
	for len(named) < len(organizations) || earliest > due.UnixMicro() {
		at, ids, found := strings.Cut(<-payloads, " ")
		micros, err := strconv.ParseInt(at, 10, 64)
		if err != nil || !found {
			t.Fatalf("the payload begins with %q: %v", at, err)
		}
		earliest = min(earliest, micros)
		for _, id := range strings.Split(ids, ",") {
			named[id] = true
		}
	}
	for _, organization := range organizations {
		if !named[organization.String()] {
			t.Errorf("%s was not named", organization)
		}
	}
}
