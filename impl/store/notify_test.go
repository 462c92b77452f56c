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

// TestListenersOfTheStoreAreToldOnce: a listener hears what its own Store tells, and what another one does, and each once.
func TestListenersOfTheStoreAreToldOnce(t *testing.T) {
	t.Parallel()
	url := storetest.URL(t)
	told, other := storetest.Open(t, url), storetest.Open(t, url)
	ctx, stop := context.WithCancel(t.Context())
	mine, theirs := make(chan string, 100), make(chan string, 100)
	var listening sync.WaitGroup
	listening.Go(func() { told.Listen(ctx, "sends", func(payload string) { mine <- payload }) })
	listening.Go(func() { other.Listen(ctx, "sends", func(payload string) { theirs <- payload }) })
	defer listening.Wait()
	defer stop()
	<-mine // the connects
	<-theirs
	due, first, second := time.UnixMicro(1_700_000_000_000_000), uuid.New(), uuid.New()
	payload := func(organization uuid.UUID) string {
		return strconv.FormatInt(due.UnixMicro(), 10) + " " + organization.String()
	}
	told.NotifySends(due, []uuid.UUID{first})
	if got := <-theirs; got != payload(first) {
		t.Errorf("the other Store hears %q", got)
	}
	// What Postgres would tell a second time comes before what the other Store tells now.
	other.NotifySends(due, []uuid.UUID{second})
	for _, want := range []string{payload(first), payload(second)} {
		if got := <-mine; got != want {
			t.Errorf("the Store hears %q, want %q", got, want)
		}
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
