package intake_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/store"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// gate holds every transaction before it begins until release is closed, so that requests gather behind it.
type gate struct {
	*store.Store
	entered chan struct{}
	release chan struct{}
}

func newGate(t *testing.T) *gate {
	t.Helper()
	return &gate{storetest.New(t), make(chan struct{}, 1000), make(chan struct{})}
}

func (g *gate) TxPipelined(ctx context.Context, work func(tx *db.Queries) error) error {
	g.entered <- struct{}{}
	<-g.release
	return g.Store.TxPipelined(ctx, work)
}

// transactions returns how many transactions were begun since the last call.
func (g *gate) transactions() int {
	found := 0
	for {
		select {
		case <-g.entered:
			found++
		default:
			return found
		}
	}
}

type outcome struct {
	results []intake.Result
	err     error
}

func (g *gate) open(config intake.Config) *intake.Intake {
	config.Store, config.Now, config.Random = g, time.Now, rand.Reader
	return intake.New(config)
}

// submit accepts messages in the background, and returns when the request waits or is in flight.
func submit(ctx context.Context, accepting *intake.Intake, messages ...intake.Message) <-chan outcome {
	return submitOnce(ctx, accepting, nil, messages...)
}

// allAccepted requires that every request was accepted.
func allAccepted(t *testing.T, came []<-chan outcome) {
	t.Helper()
	for i, c := range came {
		if got := <-c; got.err != nil || got.results[0].Refusal != nil {
			t.Errorf("request %d got %+v", i, got)
		}
	}
}

// TestGroupsShareATransaction: requests that arrive while a transaction is in flight share the next one.
func TestGroupsShareATransaction(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one, other := newSender(t, g.Store), newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	var came []<-chan outcome
	came = append(came, first(t, g, accepting, one))
	for i := range 20 {
		from := []*sender{one, other}[i%2]
		came = append(came, submit(t.Context(), accepting, from.message("a@acme.test", "user@example.com")))
	}
	close(g.release)
	allAccepted(t, came)
	if found := g.transactions(); found != 1 {
		t.Errorf("20 requests that waited took %d transactions", found)
	}
	if one.stored() != 11 || other.stored() != 10 {
		t.Errorf("stored %d and %d", one.stored(), other.stored())
	}
}

// first submits the message that the others gather behind.
func first(t *testing.T, g *gate, accepting *intake.Intake, from *sender) <-chan outcome {
	t.Helper()
	came := make(chan outcome, 1)
	message := from.message("a@acme.test", "user@example.com")
	go func() {
		results, err := accepting.Accept(t.Context(), []intake.Message{message})
		came <- outcome{results, err}
	}()
	<-g.entered
	return came
}

// TestGroupsOfOne: with groups of one no two requests share.
func TestGroupsOfOne(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{GroupSize: 1})
	came := []<-chan outcome{first(t, g, accepting, one)}
	for range 5 {
		came = append(came, submit(t.Context(), accepting, one.message("a@acme.test", "user@example.com")))
	}
	close(g.release)
	allAccepted(t, came)
	if found := g.transactions(); found != 5 {
		t.Errorf("5 requests took %d transactions", found)
	}
}

// TestABadRequestHarmsNobody puts a request that Postgres refuses into every group: text with a NUL, which the API
// itself refuses.
func TestABadRequestHarmsNobody(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	for round := range 3 {
		held := first(t, g, accepting, one)
		var good, bad []<-chan outcome
		for i := range 9 {
			if i == 3*round {
				broken := one.message("a@acme.test", "user@example.com")
				broken.Subject = "\x00"
				bad = append(bad, submit(t.Context(), accepting, one.message("a@acme.test", "user@example.com"), broken))
			}
			good = append(good, submit(t.Context(), accepting, one.message("a@acme.test", "user@example.com")))
		}
		stop := make(chan struct{})
		var letting sync.WaitGroup
		letting.Go(func() {
			for {
				select {
				case g.release <- struct{}{}:
				case <-stop:
					return
				}
			}
		})
		allAccepted(t, append(good, held))
		for _, c := range bad {
			if got := <-c; got.err == nil || got.results != nil {
				t.Errorf("the bad one got %+v", got)
			}
		}
		close(stop)
		letting.Wait()
		g.transactions()
	}
	if found := one.stored(); found != 30 {
		t.Errorf("%d messages are stored, want 30", found)
	}
}

// TestFullQueue: a request that does not fit into the queue is refused at once.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{QueueSize: 3})
	message := one.message("a@acme.test", "user@example.com")
	came := []<-chan outcome{first(t, g, accepting, one)}
	came = append(came, submit(t.Context(), accepting, message, message))
	if _, err := accepting.Accept(t.Context(), []intake.Message{message, message}); !errors.Is(err, intake.ErrOverloaded) {
		t.Errorf("got %v", err)
	}
	came = append(came, submit(t.Context(), accepting, message))
	close(g.release)
	allAccepted(t, came)
	if found := one.stored(); found != 4 {
		t.Errorf("%d messages are stored, want 4", found)
	}
}

// TestClientsThatGo: when a client leaves before its transaction has begun, nothing is stored; after that, its
// request is completed.
func TestClientsThatGo(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	ctx, leave := context.WithCancel(t.Context())
	message := one.message("a@acme.test", "user@example.com")
	under := make(chan outcome, 1)
	go func() {
		results, err := accepting.Accept(ctx, []intake.Message{message})
		under <- outcome{results, err}
	}()
	<-g.entered
	waiting := submit(ctx, accepting, message)
	leave()
	if got := <-waiting; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the one that waited got %+v", got)
	}
	close(g.release)
	if got := <-under; got.err != nil || got.results[0].Refusal != nil {
		t.Errorf("the one under way got %+v", got)
	}
	if found := one.stored(); found != 1 {
		t.Errorf("%d messages are stored, want 1", found)
	}
}

// TestLargeRequestsHoldNobodyUp: a small request passes while a large one is in flight.
func TestLargeRequestsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	one := newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	big := one.message("a@acme.test", "user@example.com")
	big.HTML = fmt.Sprintf("%2000000d", 1)
	large := submit(t.Context(), accepting, big)
	small := submit(t.Context(), accepting, one.message("a@acme.test", "user@example.com"))
	<-g.entered
	<-g.entered
	close(g.release)
	allAccepted(t, []<-chan outcome{large, small})
}

// TestPanicsAreTheRequestsOwn: a panic in the goroutine of a group's transaction fails only its request, and does
// not end the process.
func TestPanicsAreTheRequestsOwn(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	close(g.release)
	one := newSender(t, g.Store)
	accepting := intake.New(intake.Config{Store: g, Now: func() time.Time { panic("a bug") }, Random: rand.Reader})
	if _, err := accepting.Accept(t.Context(), []intake.Message{one.message("a@acme.test", "user@example.com")}); err == nil {
		t.Error("the panic was swallowed")
	}
}

// TestWhatDoesNotFit: an organization at its limit costs one more transaction, once, and other organizations
// nothing.
func TestWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	close(g.release)
	one, poor := newSender(t, g.Store), newSender(t, g.Store)
	poor.execute(`UPDATE organizations SET free_monthly_allowance = 1 WHERE id = $1`, poor.organization)
	accepting := g.open(intake.Config{})
	for round, want := range []int{1, 2, 1, 1} {
		results, err := accepting.Accept(t.Context(), []intake.Message{
			poor.message("a@acme.test", "user@example.com"), one.message("a@acme.test", "user@example.com"),
		})
		if err != nil || results[1].Refusal != nil || (results[0].Refusal == nil) != (round == 0) {
			t.Fatalf("round %d answered %+v, %v", round, results, err)
		}
		if found := g.transactions(); found != want {
			t.Errorf("round %d took %d transactions, want %d", round, found, want)
		}
	}
	if one.stored() != 4 || poor.stored() != 1 {
		t.Errorf("stored %d and %d", one.stored(), poor.stored())
	}
}
