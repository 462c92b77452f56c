package domain_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/ses"
)

// send sends a message from the domain, as a worker would.
func (w *world) send(name string) {
	w.t.Helper()
	_, err := w.ses.Send(w.t.Context(), ses.Message{
		ID: uuid.Must(uuid.NewV7()), From: "hello@" + name, To: []string{"success@simulator.amazonses.com"}, Subject: "s", Text: "t",
	})
	if err != nil {
		w.t.Errorf("send from %s: %v", name, err)
	}
}

// B registers A's domain with another subdomain, verifies, fails, and deletes it; A's sends and records never change.
func TestAnotherOrganizationCannotDisturbADomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.organization("a"), w.organization("b")
	owner := w.verified(a, "acme.test")
	identity, _ := w.identity("acme.test")
	w.ses.take()
	unchanged := func(when string) {
		t.Helper()
		if now := w.get(owner); !reflect.DeepEqual(now, owner) {
			t.Errorf("%s A has %+v, had %+v", when, now, owner)
		}
		if now, ok := w.identity("acme.test"); !ok || !reflect.DeepEqual(now, identity) {
			t.Errorf("%s SES has %+v, had %+v", when, now, identity)
		}
		if calls := w.ses.take(); len(calls) != 0 {
			t.Errorf("%s SES was asked: %v", when, calls)
		}
		w.send("acme.test")
	}

	intruder := w.create(b, "acme.test", "evil")
	unchanged("after B registered")
	if intruder.MailFromDomain != "mail.acme.test" || record(t, intruder, domain.PurposeMailFrom).Name != "mail.acme.test" {
		t.Errorf("B is shown the MAIL FROM %q", intruder.MailFromDomain)
	}
	if intruder.OwnershipToken == owner.OwnershipToken || count(intruder, domain.PurposeDKIM) != 3 {
		t.Errorf("B is shown %+v", intruder.Records)
	}
	intruder = w.look(intruder)
	if intruder.Status != domain.StatusPending || record(t, intruder, domain.PurposeOwnership).Status != domain.RecordMismatch {
		t.Errorf("B verified: %s", intruder.Status)
	}
	unchanged("after B verified")
	w.clock.Add(73 * time.Hour)
	if intruder, _ = w.recheck(intruder); intruder.Status != domain.StatusFailed {
		t.Errorf("after 73 hours B is %s", intruder.Status)
	}
	unchanged("after B failed")
	if err := w.Delete(t.Context(), b, intruder.ID); err != nil {
		t.Fatal(err)
	}
	unchanged("after B deleted")
	w.clock.Add(time.Hour)
	w.sweep()
	unchanged("after the sweep")
}

func TestTwoOwnersOfOneDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.verified(w.organization("a"), "acme.test")
	second := w.create(w.organization("b"), "acme.test", "other")
	w.publish(first, second)
	if second = w.look(second); second.Status != domain.StatusVerified || second.MailFromDomain != "mail.acme.test" {
		t.Fatalf("second: %s, MAIL FROM %s", second.Status, second.MailFromDomain)
	}
	// When one of two organizations deletes the domain, the identity and its MAIL FROM stay.
	if err := w.Delete(t.Context(), first.OrganizationID, first.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Hour)
	w.sweep()
	if second = w.look(second); second.Status != domain.StatusVerified || second.MailFromDomain != "mail.acme.test" {
		t.Errorf("second alone: %s, MAIL FROM %s", second.Status, second.MailFromDomain)
	}
	w.send("acme.test")
}

func TestDomainBelowAnotherOrganizationsDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verified(w.organization("a"), "acme.test")
	w.send("sub.acme.test")
	w.ses.take()

	view := w.create(w.organization("b"), "sub.acme.test", "")
	if count(view, domain.PurposeDKIM) != 0 || len(view.Records) != 4 {
		t.Errorf("before the proof: %+v", view.Records)
	}
	view = w.look(view)
	if !strings.Contains(reason(view), "DKIM records appear") {
		t.Errorf("reason %q", reason(view))
	}
	if calls := w.ses.take(); len(calls) != 0 {
		t.Errorf("SES was asked before the proof: %v", calls)
	}
	w.send("sub.acme.test")

	w.publish(view)
	view = w.look(view)
	if count(view, domain.PurposeDKIM) != 3 || view.Status != domain.StatusPending || view.OwnedAt == nil {
		t.Errorf("after the proof: %s, owned %v, %+v", view.Status, view.OwnedAt, view.Records)
	}
	if identity, ok := w.identity("sub.acme.test"); !ok || identity.MailFromDomain != "mail.sub.acme.test" {
		t.Errorf("SES has %+v, %v", identity, ok)
	}
	w.publish(view)
	if view = w.look(view); view.Status != domain.StatusVerified {
		t.Errorf("then: %s, %q", view.Status, reason(view))
	}
	w.clock.Add(time.Hour)
	w.sweep()
	if _, ok := w.identity("sub.acme.test"); !ok {
		t.Error("a proven identity was swept")
	}
}

func TestSweepOfUnprovenIdentityBelowLaterDomain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.organization("a"), w.organization("b")
	early := w.create(b, "sub.acme.test", "")
	mine := w.create(a, "mine.acme.test", "")
	w.create(b, "alsoacme.test", "")
	w.verified(a, "acme.test")
	if _, ok := w.identity("sub.acme.test"); !ok {
		t.Fatal("B has no identity to begin with")
	}
	w.clock.Add(20 * time.Minute)
	w.sweep()
	if _, ok := w.identity("sub.acme.test"); ok {
		t.Error("the unproven identity below A's domain is still there")
	}
	for _, name := range []string{"acme.test", "mine.acme.test", "alsoacme.test"} {
		if _, ok := w.identity(name); !ok {
			t.Errorf("the identity %s was swept", name)
		}
	}
	w.send("sub.acme.test")
	if count(w.get(mine), domain.PurposeDKIM) != 3 {
		t.Error("A's own domain below has lost its DKIM records")
	}
	if early = w.get(early); count(early, domain.PurposeDKIM) != 0 {
		t.Errorf("B is shown %+v", early.Records)
	}
	// Registering again brings nothing back.
	if err := w.Delete(t.Context(), b, early.ID); err != nil {
		t.Fatal(err)
	}
	early = w.create(b, "sub.acme.test", "")
	if _, ok := w.identity("sub.acme.test"); ok {
		t.Error("registering again created the identity")
	}
	w.publish(early)
	w.publish(w.look(early))
	if early = w.look(early); early.Status != domain.StatusVerified {
		t.Errorf("with a proof B is %s: %s", early.Status, reason(early))
	}
}

func TestSweepOfUnusedIdentities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	if _, _, err := w.ses.Client.CreateIdentity(t.Context(), "foreign.test"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gone.test", "foreign.test"} {
		view := w.create(organization, name, "")
		if err := w.Delete(t.Context(), organization, view.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.create(organization, "kept.test", "")
	w.clock.Add(9 * time.Minute)
	w.sweep()
	if _, ok := w.identity("gone.test"); !ok {
		t.Error("swept before its time")
	}
	w.clock.Add(2 * time.Minute)
	w.sweep()
	for name, want := range map[string]bool{"gone.test": false, "foreign.test": true, "kept.test": true} {
		if _, ok := w.identity(name); ok != want {
			t.Errorf("SES has %s: %v", name, ok)
		}
	}
	w.ses.take()
	w.sweep()
	if calls := w.ses.take(); len(calls) != 0 {
		t.Errorf("a second sweep called %v", calls)
	}
	w.create(organization, "gone.test", "")
}

func TestSweepWithoutSESKeepsTheIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	view := w.create(organization, "acme.test", "")
	if err := w.Delete(t.Context(), organization, view.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Hour)
	w.ses.down()
	var failure *ses.Error
	if err := w.SweepIdentities(t.Context()); !errors.As(err, &failure) {
		t.Errorf("sweep: %v", err)
	}
	w.ses.up()
	again := w.create(organization, "acme.test", "")
	w.clock.Add(time.Hour)
	w.sweep()
	if _, ok := w.identity("acme.test"); !ok || count(w.get(again), domain.PurposeDKIM) != 3 {
		t.Error("a used identity was swept")
	}
	if err := w.Delete(t.Context(), organization, again.ID); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	if _, ok := w.identity("acme.test"); ok {
		t.Error("the identity is ours no more")
	}
}

// A registration during a deletion is refused for a moment, and never builds on the deleted identity.
func TestRegistrationDuringSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	view := w.create(organization, "acme.test", "")
	if err := w.Delete(t.Context(), organization, view.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Hour)
	var during, again error
	w.ses.intercept(func(operation, _ string) error {
		if operation == "delete" {
			_, during = w.Create(t.Context(), organization, "acme.test", "")
			again = w.another().SweepIdentities(t.Context())
		}
		return nil
	})
	w.sweep()
	w.ses.up()
	if !errors.Is(during, domain.ErrBusy) {
		t.Errorf("during the deletion: %v", during)
	}
	if again != nil {
		t.Errorf("another sweep: %v", again)
	}
	if calls := w.ses.take(); !slices.Equal(calls, []string{"create acme.test", "delete acme.test"}) {
		t.Errorf("calls %v", calls)
	}
	view = w.create(organization, "acme.test", "")
	if _, ok := w.identity("acme.test"); !ok || count(view, domain.PurposeDKIM) != 3 {
		t.Errorf("after the deletion: %+v", view.Records)
	}
}

// A process that dies while deleting leaves a mark, and the next sweep finishes the deletion.
func TestSweepEndsWhatWasBegun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	view := w.create(organization, "acme.test", "")
	if err := w.Delete(t.Context(), organization, view.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Pool().Exec(t.Context(), "UPDATE identities SET dkim_tokens = '{}'"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Hour)
	w.sweep()
	if _, ok := w.identity("acme.test"); ok {
		t.Error("the identity is still there")
	}
	w.create(organization, "acme.test", "")
}

func TestRegisteringAnewMayChangeTheMailFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	view := w.verified(organization, "acme.test")
	if err := w.Delete(t.Context(), organization, view.ID); err != nil {
		t.Fatal(err)
	}
	view = w.create(organization, "acme.test", "bounce")
	if view.MailFromDomain != "bounce.acme.test" {
		t.Errorf("shown %s", view.MailFromDomain)
	}
	w.publish(view)
	if view = w.look(view); view.Status != domain.StatusVerified || view.MailFromDomain != "bounce.acme.test" {
		t.Errorf("%s, MAIL FROM %s", view.Status, view.MailFromDomain)
	}
	if identity, _ := w.identity("acme.test"); identity.MailFromDomain != "bounce.acme.test" {
		t.Errorf("SES has %s", identity.MailFromDomain)
	}
}

func TestIdentityThatWasThereBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, _, err := w.ses.Client.CreateIdentity(t.Context(), "acme.test"); err != nil {
		t.Fatal(err)
	}
	if err := w.ses.Client.SetMailFrom(t.Context(), "acme.test", "envelope.acme.test"); err != nil {
		t.Fatal(err)
	}
	view := w.verified(w.organization("a"), "acme.test")
	if view.MailFromDomain != "envelope.acme.test" {
		t.Errorf("MAIL FROM %s", view.MailFromDomain)
	}
	if calls := w.ses.take(); slices.Contains(calls, "mail-from acme.test") {
		t.Errorf("the MAIL FROM was set: %v", calls)
	}
}

func TestDevZone(t *testing.T) {
	t.Parallel()
	inside := newWorld(t)
	w := worldOf(t, inside.store, &domain.DevZone{Store: inside.store, Region: region}, nil)
	a, b := w.organization("a"), w.organization("b")
	for _, organization := range []uuid.UUID{a, b} {
		if view := w.look(w.create(organization, "acme.test", "")); view.Status != domain.StatusVerified {
			t.Errorf("acme.test: %s, %q", view.Status, reason(view))
		}
		if view := w.look(w.create(organization, "acme.example", "")); view.Status != domain.StatusPending {
			t.Errorf("acme.example: %s", view.Status)
		}
	}
	below := w.look(w.create(w.organization("c"), "deep.acme.test", "envelope"))
	if below = w.look(below); below.Status != domain.StatusVerified || below.MailFromDomain != "envelope.deep.acme.test" {
		t.Errorf("deep.acme.test: %s, %q", below.Status, reason(below))
	}
	mx, err := w.dns.MX(t.Context(), "mail.acme.test")
	if err != nil || !slices.Equal(mx, []dns.MX{{Preference: 10, Host: "feedback-smtp.eu-west-1.amazonses.com"}}) {
		t.Errorf("MX %v, %v", mx, err)
	}
	if texts, err := w.dns.TXT(t.Context(), "mail.other.test"); err != nil || len(texts) != 0 {
		t.Errorf("a domain that is not registered has %v, %v", texts, err)
	}
}
