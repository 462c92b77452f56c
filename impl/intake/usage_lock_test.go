package intake_test

import (
	"errors"
	"testing"

	"github.com/voostack/mailstack/impl/intake"
)

// While another transaction holds the usage row of an organization, its requests are refused, those that share a
// transaction with them are accepted, and those that come later wait for nothing.
func TestALockedUsageRowCostsItsOwnOrganization(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	held, free := newSender(t, g.Store), newSender(t, g.Store)
	close(g.release)
	accepting := g.open(intake.Config{})
	accept := func(from *sender) error {
		results, err := accepting.Accept(t.Context(), []intake.Message{from.message("a@acme.test", "user@example.com")})
		if err == nil && results[0].Refusal != nil {
			t.Errorf("refused for %s", results[0].Refusal.Reason)
		}
		return err
	}
	for _, from := range []*sender{held, free} { // opens their periods
		if err := accept(from); err != nil {
			t.Fatal(err)
		}
	}
	tx, err := g.Store.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM usage_periods WHERE organization_id = $1 FOR UPDATE", held.organization); err != nil {
		t.Fatal(err)
	}
	came := []<-chan outcome{
		submit(t.Context(), accepting, held.message("a@acme.test", "user@example.com")),
		submit(t.Context(), accepting, free.message("a@acme.test", "user@example.com")),
	}
	if got := <-came[0]; !errors.Is(got.err, intake.ErrOverloaded) {
		t.Errorf("the organization whose row is locked got %+v", got)
	}
	allAccepted(t, came[1:])
	g.transactions()
	if err := accept(held); !errors.Is(err, intake.ErrOverloaded) {
		t.Errorf("again: %v", err)
	}
	if g.transactions() != 0 {
		t.Error("a request that can only be refused took a transaction")
	}
	if err := accept(free); err != nil {
		t.Errorf("the other organization: %v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for err = accept(held); errors.Is(err, intake.ErrOverloaded) && t.Context().Err() == nil; err = accept(held) {
		continue
	}
	if err != nil || held.stored() != 2 || free.stored() != 3 {
		t.Errorf("in the end: %v, stored %d and %d", err, held.stored(), free.stored())
	}
}
