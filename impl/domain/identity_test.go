package domain_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

// limited returns the service of an account that may have so many identities.
func (w *world) limited(identities int) *domain.Service {
	return domain.New(domain.Config{
		Store: w.store, SES: w.ses, DNS: w.dns, Region: region, Now: w.clock.Now, IdentityLimit: identities,
	})
}

// Near the limit of the account a registration creates nothing at SES; the proof of ownership does.
func TestNearTheLimitAnIdentityWaitsForProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Service = w.limited(2) // from nine tenths of it, rounded down: from 1 on
	organization := w.organization("a")
	w.create(organization, "first.test", "")
	waiting := w.create(organization, "second.test", "")
	if _, ok := w.identity("second.test"); ok || count(waiting, domain.PurposeDKIM) != 0 {
		t.Errorf("near the limit, before the proof: %+v", waiting.Records)
	}
	w.becomesVerified(waiting)
	if shared := w.create(w.organization("b"), "first.test", ""); count(shared, domain.PurposeDKIM) != 3 {
		t.Errorf("an identity that is there: %+v", shared.Records)
	}
}

// becomesVerified publishes the ownership record, then the records of the identity that its proof created.
func (w *world) becomesVerified(view domain.View) {
	w.t.Helper()
	for range 2 {
		w.publish(view)
		view = w.look(view)
	}
	if view.Status != domain.StatusVerified || count(view, domain.PurposeDKIM) != 3 {
		w.t.Errorf("after the proof %s: %s, %+v", view.Status, reason(view), view.Records)
	}
}

// Where identities of others fill the account, SES says so, and a registration waits for its proof all the same.
func TestTheLimitOfSESIsNoFailureOfARegistration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := 1
	if _, _, err := w.ses.Client.CreateIdentity(t.Context(), "theirs.test"); err != nil {
		t.Fatal(err)
	}
	if err := w.sim.SetAccount(sessim.AccountChange{MaxIdentities: &one}); err != nil {
		t.Fatal(err)
	}
	waiting := w.create(w.organization("a"), "acme.test", "")
	if waiting.Status != domain.StatusPending || count(waiting, domain.PurposeDKIM) != 0 {
		t.Errorf("at the limit: %+v", waiting)
	}
	w.publish(waiting)
	w.clock.Add(10 * time.Second)
	if _, err := w.Verify(t.Context(), waiting.OrganizationID, waiting.ID); ses.ClassOf(err) != ses.QuotaExceeded {
		t.Errorf("proven at the limit: %v", err)
	}
	many := 10
	if err := w.sim.SetAccount(sessim.AccountChange{MaxIdentities: &many}); err != nil {
		t.Fatal(err)
	}
	w.becomesVerified(waiting)
}

// The identity of a domain that stays Failed is released after 30 days, and verifying the domain later creates another one.
func TestIdentityOfAFailedDomainIsReleased(t *testing.T) {
	t.Parallel()
	for name, proven := range map[string]bool{"never proven": false, "proven once": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			organization := w.organization("a")
			view := w.create(organization, "acme.test", "")
			if proven {
				ownership := record(t, view, domain.PurposeOwnership)
				w.publish(domain.View{Records: []domain.Record{ownership}})
				view = w.look(view)
			}
			kept := w.verified(organization, "kept.test")
			w.clock.Add(73 * time.Hour)
			if view, _ = w.recheck(view); view.Status != domain.StatusFailed {
				t.Fatalf("after 73 hours: %s", view.Status)
			}
			w.clock.Add(30*24*time.Hour - time.Minute)
			w.sweep()
			if _, ok := w.identity("acme.test"); !ok {
				t.Error("released before its time")
			}
			w.clock.Add(2 * time.Minute)
			w.sweep()
			if _, ok := w.identity("acme.test"); ok {
				t.Error("kept for longer than 30 days")
			}
			if _, ok := w.identity("kept.test"); !ok || count(w.get(kept), domain.PurposeDKIM) != 3 {
				t.Error("the identity of a verified domain is gone")
			}
			if failed := w.get(view); failed.Status != domain.StatusFailed || count(failed, domain.PurposeDKIM) != 0 {
				t.Errorf("after the release: %+v", failed)
			}
			w.becomesVerified(w.get(view))
		})
	}
}

// reversed is an SES account that lists the DKIM tokens in another order every time.
type reversed struct{ *account }

func (r reversed) GetIdentity(ctx context.Context, name string) (ses.Identity, error) {
	found, err := r.account.GetIdentity(ctx, name)
	found.DKIMTokens = slices.Clone(found.DKIMTokens)
	slices.Reverse(found.DKIMTokens)
	return found, err
}

func TestDKIMTokensHaveNoOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Service = domain.New(domain.Config{Store: w.store, SES: reversed{w.ses}, DNS: w.dns, Region: region, Now: w.clock.Now})
	before := w.verified(w.organization("a"), "acme.test")
	w.clock.Add(time.Hour)
	after := w.look(before)
	if after.Status != domain.StatusVerified || after.FailingSince != nil || len(after.Records) != len(before.Records) {
		t.Errorf("with the tokens in another order: %s, %s", after.Status, reason(after))
	}
	for i := range after.Records {
		if after.Records[i].Name != before.Records[i].Name {
			t.Errorf("record %d is %s, and was %s", i, after.Records[i].Name, before.Records[i].Name)
		}
	}
}
