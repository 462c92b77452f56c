package domain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/domain"
	"github.com/voostack/mailstack/impl/ses"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "bounce")
	w.ses.take()

	view = w.look(view)
	if view.Status != domain.StatusPending || reason(view) != "6 of 6 required records do not resolve to their value." {
		t.Fatalf("without records: %s, %q", view.Status, reason(view))
	}
	for _, r := range view.Records {
		if r.Status != domain.RecordMissing {
			t.Errorf("without records: %+v", r)
		}
	}
	if calls := w.ses.take(); len(calls) != 0 {
		t.Errorf("SES was asked about incomplete records: %v", calls)
	}

	w.publish(view)
	w.zone.Set(dns.Record{Name: "bounce.acme.test", Type: dns.TypeMX, Value: "10 mx.other.test"})
	view = w.look(view)
	if mx := record(t, view, domain.PurposeMailFrom); mx.Status != domain.RecordMismatch || strings.Join(mx.Observed, "|") != "10 mx.other.test" {
		t.Errorf("another MX: %+v", mx)
	}
	if view.Status != domain.StatusPending || reason(view) != "1 of 6 required records do not resolve to their value." || view.OwnedAt == nil {
		t.Errorf("with another MX: %s, %q, owned %v", view.Status, reason(view), view.OwnedAt)
	}
	if identity, _ := w.identity("acme.test"); identity.MailFromDomain != "bounce.acme.test" {
		t.Errorf("after the proof of ownership the MAIL FROM is %q", identity.MailFromDomain)
	}

	w.publish(view)
	w.zone.Remove("_dmarc.acme.test") // recommended only
	view = w.look(view)
	if view.Status != domain.StatusVerified || view.StatusReason != nil || view.VerifiedAt == nil || !view.VerifiedAt.Equal(w.clock.Now()) {
		t.Errorf("with all records: %s, %q, %v", view.Status, reason(view), view.VerifiedAt)
	}
	if !view.CheckedAt.Equal(w.clock.Now()) {
		t.Errorf("checked at %v", view.CheckedAt)
	}
}

func TestVerifyWaitsForSES(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	w.publish(view)
	// SES makes its own lookups, and does not see our DNS.
	dkim := record(t, view, domain.PurposeDKIM).Name
	w.dns.Resolver = &overlay{Resolver: w.dns.Resolver, name: dkim, target: record(t, view, domain.PurposeDKIM).Value}
	w.zone.Remove(dkim)
	view = w.look(view)
	if view.Status != domain.StatusPending || !strings.Contains(reason(view), "Amazon SES") {
		t.Errorf("%s, %q", view.Status, reason(view))
	}
	w.publish(view)
	if view = w.look(view); view.Status != domain.StatusVerified {
		t.Errorf("%s, %q", view.Status, reason(view))
	}
}

type overlay struct {
	domain.Resolver
	name, target string
}

func (o *overlay) CNAME(ctx context.Context, name string) ([]string, error) {
	if name == o.name {
		return []string{o.target}, nil
	}
	return o.Resolver.CNAME(ctx, name)
}

func TestFailedDomainStartsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	w.clock.Add(72*time.Hour - time.Minute)
	if view, _ = w.recheck(view); view.Status != domain.StatusPending {
		t.Fatalf("before 72 hours: %s", view.Status)
	}
	w.clock.Add(time.Minute)
	view, next := w.recheck(view)
	if view.Status != domain.StatusFailed || reason(view) == "" || next < 365*24*time.Hour {
		t.Fatalf("after 72 hours: %s, %q, next in %v", view.Status, reason(view), next)
	}
	w.dns.take()
	w.clock.Add(time.Hour)
	w.publish(view)
	if view, _ = w.recheck(view); view.Status != domain.StatusFailed || w.dns.take() != 0 {
		t.Errorf("the background looked at a failed domain: %s", view.Status)
	}
	w.zone.Remove(record(t, view, domain.PurposeMailFrom).Name)
	view = w.look(view)
	if view.Status != domain.StatusPending || !view.PendingSince.Equal(w.clock.Now()) {
		t.Errorf("asked to verify: %s since %v", view.Status, view.PendingSince)
	}
	var due time.Time
	err := w.store.Pool().QueryRow(t.Context(), "SELECT due_at FROM domain_checks WHERE domain_id = $1", view.ID).Scan(&due)
	if err != nil || !due.Equal(w.clock.Now().Add(time.Minute)) {
		t.Errorf("next look at %v, %v", due, err)
	}
	w.clock.Add(71 * time.Hour)
	w.publish(view)
	if view, _ = w.recheck(view); view.Status != domain.StatusVerified {
		t.Errorf("within the second 72 hours: %s", view.Status)
	}
}

func TestSESLooksAgainForRecordsThatCameLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	w.clock.Add(73 * time.Hour)
	if found, _ := w.identity(view.Name); !found.DKIMFailed {
		t.Fatalf("SES still looks: %+v", found)
	}
	if view, _ = w.recheck(view); view.Status != domain.StatusFailed {
		t.Fatalf("after 73 hours: %s", view.Status)
	}
	w.publish(view)
	if view = w.look(view); view.Status != domain.StatusPending {
		t.Fatalf("%s, although SES had stopped looking", view.Status)
	}
	if view = w.look(view); view.Status != domain.StatusVerified {
		t.Errorf("%s, %q", view.Status, reason(view))
	}
}

func TestVerifiedDomainThatLosesItsRecords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		purpose string
		owned   bool
	}{{domain.PurposeOwnership, false}, {domain.PurposeSPF, true}} {
		t.Run(c.purpose, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			view := w.verified(w.organization("a"), "acme.test")
			lost := record(t, view, c.purpose).Name
			w.zone.Remove(lost)
			w.clock.Add(6 * time.Hour)
			view, next := w.recheck(view)
			if view.Status != domain.StatusVerified || view.FailingSince == nil || reason(view) == "" || next > 30*time.Minute {
				t.Fatalf("at first: %s, failing since %v, %q, next in %v", view.Status, view.FailingSince, reason(view), next)
			}
			w.clock.Add(23 * time.Hour)
			w.publish(view)
			if view, _ = w.recheck(view); view.FailingSince != nil || view.Status != domain.StatusVerified || view.StatusReason != nil {
				t.Fatalf("records are back: %s, failing since %v", view.Status, view.FailingSince)
			}
			w.zone.Remove(lost)
			w.clock.Add(6 * time.Hour)
			w.recheck(view)
			w.clock.Add(24*time.Hour - time.Second)
			if view, _ = w.recheck(view); view.Status != domain.StatusVerified {
				t.Fatalf("before 24 hours: %s", view.Status)
			}
			w.clock.Add(10 * time.Second)
			view, _ = w.recheck(view)
			if view.Status != domain.StatusPending || !view.PendingSince.Equal(w.clock.Now()) || view.FailingSince != nil {
				t.Errorf("after 24 hours: %s since %v", view.Status, view.PendingSince)
			}
			if (view.OwnedAt != nil) != c.owned {
				t.Errorf("owned at %v", view.OwnedAt)
			}
		})
	}
}

func TestSilenceOfTheDNSIsNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.verified(w.organization("a"), "acme.test")
	for _, failure := range []dns.Failure{dns.FailServfail, dns.FailRefuse, dns.FailHang} {
		for _, r := range view.Records {
			w.zone.Fail(r.Name, failure)
		}
		w.clock.Add(48 * time.Hour)
		found, _ := w.recheck(view)
		if found.Status != domain.StatusVerified || found.FailingSince != nil || found.OwnedAt == nil {
			t.Errorf("%s: %s, failing since %v, owned at %v", failure, found.Status, found.FailingSince, found.OwnedAt)
		}
		for _, r := range found.Records {
			if r.Status != domain.RecordUnknown || len(r.Observed) == 0 {
				t.Errorf("%s: %+v", failure, r)
			}
		}
	}
	if calls := w.ses.take(); calls[len(calls)-1] != "get acme.test" || strings.Count(strings.Join(calls, " "), "get") != 1 {
		t.Errorf("SES was asked without records: %v", calls)
	}
}

func TestVerifyAnswersInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	w.dns.intercept(func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	started := time.Now()
	view = w.look(view)
	if took := time.Since(started); took > 9*time.Second {
		t.Errorf("took %v", took)
	}
	if view.Status != domain.StatusPending || !strings.Contains(reason(view), "gave no answer") {
		t.Errorf("%s, %q", view.Status, reason(view))
	}
}

func TestVerifyIsPaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	view = w.look(view)
	w.dns.take()
	w.publish(view)
	w.clock.Add(time.Second)
	again, err := w.Verify(t.Context(), view.OrganizationID, view.ID)
	if err != nil || again.Status != view.Status || !again.CheckedAt.Equal(*view.CheckedAt) {
		t.Errorf("second: %s at %v, %v", again.Status, again.CheckedAt, err)
	}
	if n := w.dns.take(); n != 0 {
		t.Errorf("%d look-ups", n)
	}
	if view = w.look(view); view.Status != domain.StatusVerified {
		t.Errorf("later: %s", view.Status)
	}
}

func TestConcurrentVerificationsShareTheLookUps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	w.publish(view)
	var workers sync.WaitGroup
	for range 10 {
		workers.Go(func() {
			found, err := w.Verify(t.Context(), view.OrganizationID, view.ID)
			if err != nil || found.Status != domain.StatusVerified {
				t.Errorf("%s, %v", found.Status, err)
			}
		})
	}
	workers.Wait()
	if n := w.dns.take(); n != len(view.Records) {
		t.Errorf("%d look-ups for %d records", n, len(view.Records))
	}
}

func TestOneMoreVerificationThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	organization := w.organization("a")
	begun, end := make(chan struct{}, 1000), make(chan struct{})
	w.dns.intercept(func(context.Context) error {
		begun <- struct{}{}
		<-end
		return nil
	})
	var workers sync.WaitGroup
	for i := range 16 {
		view := w.create(organization, fmt.Sprintf("d%d.test", i), "")
		workers.Go(func() {
			if found, err := w.Verify(t.Context(), organization, view.ID); err != nil || found.CheckedAt == nil {
				t.Errorf("checked at %v, %v", found.CheckedAt, err)
			}
		})
		for range view.Records {
			<-begun
		}
	}
	view := w.create(organization, "late.test", "")
	if found, err := w.Verify(t.Context(), organization, view.ID); err != nil || found.CheckedAt != nil {
		t.Errorf("without room: checked at %v, %v", found.CheckedAt, err)
	}
	w.dns.intercept(nil)
	close(end)
	workers.Wait()
	if view = w.look(view); view.CheckedAt == nil {
		t.Error("with room: not checked")
	}
}

// A check that began from an older state changes nothing.
func TestOverlappingChecks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	other := domain.New(domain.Config{Store: w.store, SES: w.ses, DNS: w.dns.Resolver, Region: region, Now: w.clock.Now})
	// All lookups of the slower check wait for the faster one, and then find nothing.
	overtake := sync.OnceFunc(func() {
		w.publish(view)
		if found, err := other.Verify(t.Context(), view.OrganizationID, view.ID); err != nil || found.Status != domain.StatusVerified {
			t.Errorf("the faster one: %s, %v", found.Status, err)
		}
		for _, r := range view.Records {
			w.zone.Remove(r.Name)
		}
	})
	w.dns.intercept(func(context.Context) error {
		overtake()
		return nil
	})
	found, err := w.Verify(t.Context(), view.OrganizationID, view.ID)
	if err != nil || found.Status != domain.StatusVerified || found.FailingSince != nil {
		t.Errorf("the slower one: %s, failing since %v, %v", found.Status, found.FailingSince, err)
	}
}

func TestVerifyWithoutSES(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.create(w.organization("a"), "acme.test", "")
	w.ses.down()
	if found := w.look(view); found.Status != domain.StatusPending {
		t.Errorf("without records SES is not needed: %s", found.Status)
	}
	w.publish(view)
	before := w.get(view)
	w.clock.Add(time.Minute)
	var failure *ses.Error
	if _, err := w.Verify(t.Context(), view.OrganizationID, view.ID); !errors.As(err, &failure) {
		t.Errorf("with records: %v", err)
	}
	_, next := w.recheck(view)
	if next != time.Minute {
		t.Errorf("next look in %v", next)
	}
	after := w.get(view)
	if after.OwnedAt != nil || !after.CheckedAt.Equal(*before.CheckedAt) {
		t.Errorf("something changed: owned at %v, checked at %v", after.OwnedAt, after.CheckedAt)
	}
	w.ses.up()
	if view = w.look(view); view.Status != domain.StatusVerified {
		t.Errorf("SES is back: %s, %q", view.Status, reason(view))
	}
	if identity, _ := w.identity("acme.test"); identity.MailFromDomain != "mail.acme.test" {
		t.Errorf("MAIL FROM %q", identity.MailFromDomain)
	}
}

func TestVerifyGivesBackWhatSESHasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	view := w.verified(w.organization("a"), "acme.test")
	if err := w.ses.Client.DeleteIdentity(t.Context(), "acme.test"); err != nil {
		t.Fatal(err)
	}
	view = w.look(view)
	if view.Status != domain.StatusVerified || view.FailingSince == nil {
		t.Errorf("at first: %s, failing since %v", view.Status, view.FailingSince)
	}
	if identity, ok := w.identity("acme.test"); !ok || identity.MailFromDomain != "mail.acme.test" {
		t.Errorf("SES has %+v, %v", identity, ok)
	}
	if view = w.look(view); view.Status != domain.StatusVerified || view.FailingSince != nil {
		t.Errorf("then: %s, failing since %v", view.Status, view.FailingSince)
	}
}

func TestRecheckOfWhatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next, err := w.Recheck(t.Context(), w.organization("a"), uuid.Must(uuid.NewV7()))
	if err != nil || next.Before(w.clock.Now().Add(365*24*time.Hour)) {
		t.Errorf("next look at %v, %v", next, err)
	}
}
