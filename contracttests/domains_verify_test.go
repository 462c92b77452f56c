package contracttests

import (
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestDomainIsVerified(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	registered := owner.register("proof.example")
	missing := owner.verify(registered)
	if missing.Status != api.DomainStatusPending || missing.StatusReason == nil || missing.LastCheckedAt == nil || missing.VerifiedAt != nil {
		t.Errorf("without records: %+v", missing)
	}
	for _, record := range missing.DNSRecords {
		if record.Status != "Missing" || len(record.Observed) != 0 {
			t.Errorf("a record that is not there: %+v", record)
		}
	}
	set := func(record api.DNSRecord, values ...string) {
		var published []dns.Record
		for _, value := range values {
			published = append(published, dns.Record{Name: record.Name, Type: string(record.Type), Value: value, TTL: 60})
		}
		s.zone.Set(published...)
	}
	spf, mx, ownership := purpose(t, registered, "SPF"), purpose(t, registered, "MAIL FROM"), purpose(t, registered, "Ownership")
	dkim := records(registered, "DKIM")
	for what, step := range map[string]struct {
		record api.DNSRecord
		values []string
		status api.DNSRecordStatus
	}{
		"SPF of others":      {spf, []string{"v=spf1 include:other.example ~all"}, "Mismatch"},
		"two SPF records":    {spf, []string{spf.Value, "v=spf1 -all"}, "Mismatch"},
		"SPF merged":         {spf, []string{"v=spf1 include:other.example include:amazonses.com -all"}, "Verified"},
		"SPF beside others":  {spf, []string{"google-site-verification=x", spf.Value}, "Verified"},
		"two exchangers":     {mx, []string{mx.Value, "20 mx.example.com"}, "Mismatch"},
		"exchanger of other": {mx, []string{"10 feedback-smtp.eu-west-1.amazonses.com"}, "Mismatch"},
		"one exchanger":      {mx, []string{mx.Value}, "Verified"},
		"ownership of other": {ownership, []string{"mailstack-verification=other"}, "Mismatch"},
		"ownership, several": {ownership, []string{"mailstack-verification=other", ownership.Value}, "Verified"},
		"DKIM of other":      {dkim[0], []string{"x.dkim.amazonses.com"}, "Mismatch"},
		"DKIM":               {dkim[0], []string{dkim[0].Value}, "Verified"},
	} {
		set(step.record, step.values...)
		checked := owner.verify(registered)
		found := checked.DNSRecords[slices.IndexFunc(checked.DNSRecords, func(r api.DNSRecord) bool {
			return r.Name == step.record.Name && r.Type == step.record.Type
		})]
		observed := slices.Sorted(slices.Values(found.Observed))
		if found.Status != step.status || !slices.Equal(observed, slices.Sorted(slices.Values(step.values))) {
			t.Errorf("%s: %+v", what, found)
		}
		if checked.Status != api.DomainStatusPending {
			t.Fatalf("%s: %s", what, checked.Status)
		}
	}
	s.publish(registered.DNSRecords...)
	s.zone.Remove(purpose(t, registered, "DMARC").Name)
	verified := owner.verify(registered)
	if verified.Status != api.DomainStatusVerified || verified.VerifiedAt == nil || verified.StatusReason != nil {
		t.Fatalf("with every required record: %+v", verified)
	}
	for _, record := range verified.DNSRecords {
		if want := api.DNSRecordStatus("Verified"); record.Required && record.Status != want || !record.Required && record.Status != "Missing" {
			t.Errorf("%+v", record)
		}
	}
	identity, err := s.identity("proof.example")
	must(t, err)
	if identity.MailFromDomain != "mail.proof.example" || !identity.VerifiedForSending {
		t.Errorf("the identity is %+v", identity)
	}
	if read := owner.domain(registered); !reflect.DeepEqual(read, verified) {
		t.Errorf("reads as %+v", read)
	}
}

// A recent result is reused: a client that verifies in a loop does not put the DNS under load.
func TestVerifyIsPaced(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	registered := owner.register("paced.example")
	first := decoded[api.Domain](owner.call(http.MethodPost, domainPath(registered)+"/verify", nil))
	s.publish(registered.DNSRecords...)
	if paced := decoded[api.Domain](owner.call(http.MethodPost, domainPath(registered)+"/verify", nil)); !reflect.DeepEqual(paced, first) {
		t.Errorf("a check within the pace: %+v", paced)
	}
	if later := owner.verify(registered); later.Status != api.DomainStatusVerified || !later.LastCheckedAt.After(first.LastCheckedAt.Time) {
		t.Errorf("a check after it: %+v", later)
	}
}

func TestDNSFailureUnverifiesNobody(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	verified := owner.verified("stormy.example")
	for _, failure := range []dns.Failure{dns.FailServfail, dns.FailRefuse} {
		for _, record := range verified.DNSRecords {
			s.zone.Fail(record.Name, failure)
		}
		for range 3 {
			s.clock.advance(25 * time.Hour)
			found := owner.verify(verified)
			if found.Status != api.DomainStatusVerified || found.StatusReason == nil {
				t.Errorf("%s: %s, %v", failure, found.Status, found.StatusReason)
			}
			for i, record := range found.DNSRecords {
				if record.Status != "Unknown" || !slices.Equal(record.Observed, verified.DNSRecords[i].Observed) {
					t.Errorf("%s: %+v", failure, record)
				}
			}
		}
	}
	for _, record := range verified.DNSRecords {
		s.zone.Fail(record.Name, dns.FailNone)
	}
	if found := owner.verify(verified); found.Status != api.DomainStatusVerified || found.StatusReason != nil || !found.VerifiedAt.Equal(verified.VerifiedAt.Time) {
		t.Errorf("after the storm: %+v", found)
	}
}

// A DNS that never answers delays a verification, within its bound.
func TestVerifyAnswersInTime(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	registered := owner.register("silent.example")
	for _, record := range registered.DNSRecords {
		s.zone.Fail(record.Name, dns.FailHang)
	}
	start := time.Now()
	found := owner.verify(registered)
	if elapsed := time.Since(start); elapsed > 10*time.Second || found.Status != api.DomainStatusPending {
		t.Errorf("answered %s after %v", found.Status, elapsed)
	}
}

func TestDomainFailsAndStartsOver(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	registered := owner.register("late.example")
	s.clock.advance(72*time.Hour - time.Minute)
	if found := owner.verify(registered); found.Status != api.DomainStatusPending {
		t.Errorf("within 72 hours: %s", found.Status)
	}
	s.clock.advance(time.Hour)
	_, err := s.domains.Recheck(t.Context(), owner.id, registered.ID)
	must(t, err)
	if found := owner.domain(registered); found.Status != api.DomainStatusFailed || found.StatusReason == nil {
		t.Errorf("after 72 hours: %+v", found)
	}
	if found := owner.verify(registered); found.Status != api.DomainStatusPending {
		t.Errorf("started over: %s", found.Status)
	}
	s.clock.advance(71 * time.Hour)
	if found := owner.verify(registered); found.Status != api.DomainStatusPending {
		t.Errorf("within the next 72 hours: %s", found.Status)
	}
	s.clock.advance(time.Hour)
	if found := owner.verify(registered); found.Status != api.DomainStatusFailed {
		t.Errorf("after the next 72 hours: %s", found.Status)
	}
	s.publish(registered.DNSRecords...)
	if found := owner.verify(registered); found.Status != api.DomainStatusVerified {
		t.Errorf("a failed domain with its records: %s", found.Status)
	}
}

func TestVerifiedDomainHasGrace(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	verified := owner.listDomains()[0]
	s.zone.Remove(records(verified, "DKIM")[0].Name)
	recheck := func() api.Domain {
		_, err := s.domains.Recheck(t.Context(), owner.id, verified.ID)
		must(t, err)
		return owner.domain(verified)
	}
	s.clock.advance(time.Minute)
	if found := recheck(); found.Status != api.DomainStatusVerified || found.StatusReason == nil {
		t.Errorf("a record is lost: %+v", found)
	}
	s.clock.advance(24*time.Hour - time.Minute)
	if found := recheck(); found.Status != api.DomainStatusVerified {
		t.Errorf("within the grace: %s", found.Status)
	}
	owner.send(email(from))
	s.clock.advance(2 * time.Minute)
	if found := recheck(); found.Status != api.DomainStatusPending {
		t.Errorf("after the grace: %s", found.Status)
	}
	owner.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusBadRequest, api.ProblemCodeDomainNotVerified)
	s.publish(verified.DNSRecords...)
	if found := owner.verify(verified); found.Status != api.DomainStatusVerified {
		t.Errorf("the record is back: %s", found.Status)
	}
	owner.send(email(from))
}

func TestDomainWithoutSES(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	unregistered := map[string]any{"domain": "soon.example"}
	registered := owner.register("half.example")
	s.publish(registered.DNSRecords...)
	operations := []string{"CreateEmailIdentity", "GetEmailIdentity", "PutEmailIdentityMailFromAttributes", "DeleteEmailIdentity"}
	for _, fault := range []sessim.Faults{{Status5xx: -1}, {Throttle: -1}, {DropRequest: -1}, {Hang: -1}} {
		fault.Operations = operations
		s.sim.SetFaults(fault)
		before := owner.domain(registered)
		s.clock.advance(3 * time.Second)
		for _, answer := range []answer{
			owner.call(http.MethodPost, domainsPath, unregistered), owner.call(http.MethodPost, domainPath(registered)+"/verify", nil),
		} {
			answer.problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
			if answer.header.Get("Retry-After") == "" {
				t.Errorf("%+v: no Retry-After", fault)
			}
		}
		if after := owner.domain(registered); !reflect.DeepEqual(after, before) {
			t.Errorf("%+v: became %+v", fault, after)
		}
		if list := owner.listDomains(); len(list) != 1 {
			t.Errorf("%+v: left %+v", fault, list)
		}
	}
	s.sim.ClearFaults()
	decoded[api.Domain](owner.call(http.MethodPost, domainsPath, unregistered).is(http.StatusCreated))
	if found := owner.verify(registered); found.Status != api.DomainStatusVerified {
		t.Errorf("with SES back: %+v", found)
	}
}

// SES may lose an identity; verify restores it.
func TestVerifyBringsAnIdentityBack(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	verified := owner.verified("lost.example")
	client, err := ses.New(t.Context(), ses.Config{Region: region, Endpoint: s.simURL, StaticAccessKey: "test", StaticSecretKey: "test"})
	must(t, err)
	must(t, client.DeleteIdentity(t.Context(), "lost.example"))
	for range 2 {
		if found := owner.verify(verified); found.Status != api.DomainStatusVerified {
			t.Errorf("%+v", found)
		}
	}
	identity, err := s.identity("lost.example")
	if err != nil || identity.MailFromDomain != "mail.lost.example" {
		t.Errorf("the identity is %+v: %v", identity, err)
	}
}
