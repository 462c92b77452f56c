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

// A usage row that was locked for long and is free soon after costs its organization nothing: as when the disk of Postgres
// stalls during a commit of another process.
func TestAUsageRowThatIsFreeAgain(t *testing.T) {
	t.Parallel()
	for name, looks := range map[string]int{"at the first look": 0, "at the second": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			from := newSender(t, g.Store)
			accepting := g.open(intake.Config{})
			first := submit(t.Context(), accepting, from.message("a@acme.test", "user@example.com"))
			g.release <- struct{}{}
			allAccepted(t, []<-chan outcome{first}) // opens the period
			g.transactions()
			tx, err := g.Store.Pool().Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), "SELECT FROM usage_periods WHERE organization_id = $1 FOR UPDATE", from.organization); err != nil {
				t.Fatal(err)
			}
			second := submit(t.Context(), accepting, from.message("a@acme.test", "user@example.com"))
			for range 1 + looks { // the transaction, which waits in vain, then the looks at the row
				<-g.entered
				g.release <- struct{}{}
			}
			<-g.entered
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			close(g.release)
			allAccepted(t, []<-chan outcome{second})
			if from.stored() != 2 {
				t.Errorf("stored %d messages", from.stored())
			}
		})
	}
}

// An organization whose period another transaction was opening, and then did not, opens it itself.
func TestAUsageRowThatIsGone(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	from := newSender(t, g.Store)
	close(g.release)
	accepting := g.open(intake.Config{})
	tx, err := g.Store.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(t.Context(), `INSERT INTO usage_periods (organization_id, period_key, free_monthly_allowance, price_per_1k_cents)
		VALUES ($1, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM'), 1, 1)`, from.organization)
	if err != nil {
		t.Fatal(err)
	}
	came := submit(t.Context(), accepting, from.message("a@acme.test", "user@example.com"))
	if got := <-came; got.err == nil {
		t.Errorf("accepted while another transaction opens the period")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	allAccepted(t, []<-chan outcome{submit(t.Context(), accepting, from.message("a@acme.test", "user@example.com"))})
}
