package intake_test

import (
	"errors"
	"testing"

	"github.com/voostack/mailstack/impl/intake"
)

// An organization that fills the queue is refused more, but shuts no other out, and another's request is in the next
// transaction instead of behind all of its own.
func TestOrganizationsTakeTurns(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	flooding, quiet := newSender(t, g.Store), newSender(t, g.Store)
	accepting := g.open(intake.Config{GroupSize: 4, QueueSize: 20})
	came := []<-chan outcome{first(t, g, accepting, flooding)}
	for range 20 {
		came = append(came, submit(t.Context(), accepting, flooding.message("a@acme.test", "user@example.com")))
	}
	if _, err := accepting.Accept(t.Context(), []intake.Message{flooding.message("a@acme.test", "user@example.com")}); !errors.Is(err, intake.ErrOverloaded) {
		t.Fatalf("beyond the capacity: %v", err)
	}
	if accepting.Full(1, false) {
		t.Error("full for everybody")
	}
	var waiting []<-chan outcome
	for range 2 {
		waiting = append(waiting, submit(t.Context(), accepting, quiet.message("a@acme.test", "user@example.com")))
	}
	g.release <- struct{}{} // the first transaction
	<-g.entered
	g.release <- struct{}{} // the next one, of four messages
	<-g.entered
	allAccepted(t, waiting)
	if flooding.stored() != 3 || quiet.stored() != 2 {
		t.Errorf("stored %d and %d", flooding.stored(), quiet.stored())
	}
	close(g.release)
	allAccepted(t, came)
}

// A batch, whose transaction takes several times as long, is not what a single message waits for.
func TestSingleMessagesDoNotWaitForBatches(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	flooding, quiet := newSender(t, g.Store), newSender(t, g.Store)
	accepting := g.open(intake.Config{})
	batch := make([]intake.Message, 100)
	for i := range batch {
		batch[i] = flooding.message("a@acme.test", "user@example.com")
	}
	came := []<-chan outcome{submit(t.Context(), accepting, batch...)}
	<-g.entered // its transaction
	single := []<-chan outcome{submit(t.Context(), accepting, quiet.message("a@acme.test", "user@example.com"))}
	<-g.entered
	g.release <- struct{}{}
	g.release <- struct{}{}
	allAccepted(t, single)
	allAccepted(t, came)
}

// A large share of the space beyond the capacity has no owner: it is divided among waiting organizations.
func TestSpaceBeyondTheCapacityIsShared(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	flooding, second := newSender(t, g.Store), newSender(t, g.Store)
	accepting := g.open(intake.Config{QueueSize: 20})
	came := []<-chan outcome{first(t, g, accepting, flooding)}
	for range 20 {
		came = append(came, submit(t.Context(), accepting, flooding.message("a@acme.test", "user@example.com")))
	}
	for range 5 { // 20 / (2 × 2 organizations that wait)
		came = append(came, submit(t.Context(), accepting, second.message("a@acme.test", "user@example.com")))
	}
	if _, err := accepting.Accept(t.Context(), []intake.Message{second.message("a@acme.test", "user@example.com")}); !errors.Is(err, intake.ErrOverloaded) {
		t.Fatalf("beyond the share: %v", err)
	}
	close(g.release)
	allAccepted(t, came)
}
