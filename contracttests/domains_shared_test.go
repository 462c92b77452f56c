package contracttests

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
)

// All organizations share one SES account. An organization's actions on another's domain name never affect its
// owner.
func TestStrangerCannotTouchADomain(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	owner, stranger := s.newTenant(), s.newTenant()
	verified := owner.verified("owned.example")
	read := func() []byte { return owner.call(http.MethodGet, domainPath(verified), nil).is(http.StatusOK).body }
	before := read()
	identityBefore, err := s.identity("owned.example")
	must(t, err)
	unchanged := func(what string) {
		t.Helper()
		if after := withoutCheck(t, read()); !reflect.DeepEqual(after, withoutCheck(t, before)) {
			t.Errorf("%s: the owner's domain became %v", what, after)
		}
		identity, err := s.identity("owned.example")
		must(t, err)
		if !reflect.DeepEqual(identity, identityBefore) {
			t.Errorf("%s: the identity became %+v", what, identity)
		}
		id := owner.send(email("me@owned.example"))
		eventually(t, what+": the owner's message is sent", func() bool { return owner.read(id).Status == api.EmailStatusSent })
		if received := s.sim.Messages()[0]; received.MailFrom != "mail.owned.example" {
			t.Errorf("%s: MAIL FROM is %s", what, received.MailFrom)
		}
		stranger.call(http.MethodPost, "/v1/emails", email("me@owned.example")).
			problem(http.StatusBadRequest, api.ProblemCodeDomainNotVerified)
	}
	unchanged("nothing happened")
	registered := decoded[api.Domain](stranger.call(http.MethodPost, domainsPath,
		map[string]any{"domain": "owned.example", "mailFromSubdomain": "evil"}).is(http.StatusCreated))
	if registered.CustomMailFromDomain != "mail.owned.example" {
		t.Errorf("the stranger is shown the MAIL FROM %s, and not the one in force", registered.CustomMailFromDomain)
	}
	unchanged("registered")
	pending := stranger.verify(registered)
	if pending.Status != api.DomainStatusPending || purpose(t, pending, "Ownership").Status != "Mismatch" {
		t.Errorf("verified: %+v", pending)
	}
	unchanged("verified")
	s.clock.advance(73 * time.Hour)
	if failed := stranger.verify(registered); failed.Status != api.DomainStatusFailed {
		t.Errorf("after 73 hours: %s", failed.Status)
	}
	unchanged("failed")
	stranger.call(http.MethodDelete, domainPath(registered), nil).is(http.StatusNoContent)
	s.clock.advance(time.Hour)
	must(t, s.domains.SweepIdentities(t.Context()))
	unchanged("deleted")
	if found := owner.verify(verified); found.Status != api.DomainStatusVerified {
		t.Errorf("the owner's check: %+v", found)
	}
	unchanged("checked again")
}

// withoutCheck returns a response body without the time of the last check, which the background changes.
func withoutCheck(t testing.TB, body []byte) map[string]any {
	t.Helper()
	members := decoded[map[string]any](answer{t: t, body: body})
	delete(members, "lastCheckedAt")
	return members
}

func TestDomainBelowAnothersNeedsProofFirst(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, tenant := s.newTenant(), s.newTenant()
	owner.verified("parent.example")
	registered := tenant.register("child.parent.example")
	if dkim := records(registered, "DKIM"); len(dkim) != 0 {
		t.Errorf("DKIM records before the proof: %+v", dkim)
	}
	noIdentity := func(what string) {
		t.Helper()
		if _, err := s.identity("child.parent.example"); ses.ClassOf(err) != ses.NotFound {
			t.Errorf("%s: an identity below another's domain: %v", what, err)
		}
	}
	noIdentity("registered")
	s.publish(records(registered, "MAIL FROM")...)
	s.publish(records(registered, "SPF")...)
	if found := tenant.verify(registered); found.Status != api.DomainStatusPending || len(records(found, "DKIM")) != 0 {
		t.Errorf("without the proof: %+v", found)
	}
	noIdentity("verified")
	s.publish(purpose(t, registered, "Ownership"))
	proven := tenant.verify(registered)
	if proven.Status != api.DomainStatusPending || len(records(proven, "DKIM")) != 3 {
		t.Fatalf("with the proof: %+v", proven)
	}
	s.publish(records(proven, "DKIM")...)
	if found := tenant.verify(registered); found.Status != api.DomainStatusVerified {
		t.Errorf("with every record: %+v", found)
	}
}

// Two organizations may both verify a name. The first sets the MAIL FROM, and deleting one domain leaves the
// other's.
func TestDomainSharedByTwo(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	first, second := s.newTenant(), s.newTenant()
	verified := first.verified("both.example")
	registered := second.register("both.example")
	ownership := []dns.Record{}
	for _, domain := range []api.Domain{verified, registered} {
		record := purpose(t, domain, "Ownership")
		ownership = append(ownership, dns.Record{Name: record.Name, Type: dns.TypeTXT, Value: record.Value, TTL: 60})
	}
	s.zone.Set(ownership...)
	for _, tenant := range []*tenant{first, second} {
		for _, found := range tenant.listDomains() {
			if found = tenant.verify(found); found.Status != api.DomainStatusVerified || found.CustomMailFromDomain != "mail.both.example" {
				t.Errorf("%+v", found)
			}
		}
	}
	first.call(http.MethodDelete, domainPath(verified), nil).is(http.StatusNoContent)
	s.clock.advance(time.Hour)
	must(t, s.domains.SweepIdentities(t.Context()))
	if found := second.verify(registered); found.Status != api.DomainStatusVerified {
		t.Errorf("after the other's deletion: %+v", found)
	}
	second.call(http.MethodDelete, domainPath(registered), nil).is(http.StatusNoContent)
	s.clock.advance(time.Hour)
	must(t, s.domains.SweepIdentities(t.Context()))
	if _, err := s.identity("both.example"); ses.ClassOf(err) != ses.NotFound {
		t.Errorf("the identity without a user: %v", err)
	}
}
