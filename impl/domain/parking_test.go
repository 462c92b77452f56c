package domain_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/db"
)

// The mail of a domain that SES refused waits for a check, at least ten minutes; then the first of it is tried again.
func TestACheckReleasesAParkedDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	view := w.verified(w.organization("a"), "parked.example.com")
	message := uuid.Must(uuid.NewV7())
	if err := w.store.Queries().SendInsert(ctx, db.SendInsertParams{
		EmailIds: []uuid.UUID{message}, OrganizationIds: []uuid.UUID{view.OrganizationID}, DueAt: w.clock.Now().Add(2 * time.Hour),
	}); err != nil {
		t.Fatal(err)
	}
	refuse := func() {
		if _, err := w.store.Queries().DomainRefuse(ctx, db.DomainRefuseParams{
			OrganizationID: view.OrganizationID, ID: view.ID, Now: w.clock.Now(), Since: w.clock.Now().Add(-10 * time.Minute), MaxRefusals: 3,
		}); err != nil {
			t.Fatal(err)
		}
	}
	state := func() (parked, due bool) {
		if err := w.store.Pool().QueryRow(ctx, "SELECT parked_at IS NOT NULL FROM domains WHERE id = $1", view.ID).Scan(&parked); err != nil {
			t.Fatal(err)
		}
		if err := w.store.Pool().QueryRow(ctx, "SELECT due_at <= $1 FROM sends", w.clock.Now()).Scan(&due); err != nil {
			t.Fatal(err)
		}
		return parked, due
	}
	for range 3 {
		if parked, _ := state(); parked {
			t.Fatal("it is parked already")
		}
		refuse()
		w.clock.Add(time.Minute)
	}
	if _, next := w.recheck(view); next > 10*time.Minute {
		t.Errorf("it is checked again after %s", next)
	}
	if parked, due := state(); !parked || due {
		t.Errorf("the check at once: parked %t, due %t", parked, due)
	}
	w.clock.Add(10 * time.Minute)
	w.recheck(view)
	if parked, due := state(); parked || !due {
		t.Errorf("the check after ten minutes: parked %t, due %t", parked, due)
	}
	refuse()
	w.clock.Add(11 * time.Minute)
	refuse()
	refuse()
	if parked, _ := state(); parked {
		t.Error("refusals that lie apart are counted together")
	}
}
