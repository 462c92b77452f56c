package contracttests

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/dns"
	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

const domainsPath = "/v1/domains"

func domainPath(domain api.Domain) string { return domainsPath + "/" + domain.ID.String() }

// verify asks for a check that is not answered from the last one.
func (t *tenant) verify(domain api.Domain) api.Domain {
	t.t.Helper()
	t.clock.advance(3 * time.Second)
	return decoded[api.Domain](t.call(http.MethodPost, domainPath(domain)+"/verify", nil).is(http.StatusOK))
}

func (t *tenant) domain(domain api.Domain) api.Domain {
	t.t.Helper()
	return decoded[api.Domain](t.call(http.MethodGet, domainPath(domain), nil).is(http.StatusOK))
}

func (t *tenant) listDomains() api.DomainList {
	t.t.Helper()
	return decoded[api.DomainList](t.call(http.MethodGet, domainsPath, nil).is(http.StatusOK))
}

// purpose is the first record of a domain for something.
func purpose(t testing.TB, domain api.Domain, wanted api.DNSRecordPurpose) api.DNSRecord {
	t.Helper()
	for _, record := range domain.DNSRecords {
		if record.Purpose == wanted {
			return record
		}
	}
	t.Fatalf("%s has no %s record", domain.Domain, wanted)
	return api.DNSRecord{}
}

// records are those for a purpose.
func records(domain api.Domain, wanted api.DNSRecordPurpose) []api.DNSRecord {
	return slices.DeleteFunc(slices.Clone(domain.DNSRecords), func(r api.DNSRecord) bool { return r.Purpose != wanted })
}

// identity is what the SES account says of a domain.
func (s *stack) identity(name string) (ses.Identity, error) {
	s.t.Helper()
	client, err := ses.New(s.t.Context(), ses.Config{
		Region: region, Endpoint: s.simURL, StaticAccessKey: "test", StaticSecretKey: "test", Timeout: 10 * time.Second,
	})
	must(s.t, err)
	return client.GetIdentity(s.t.Context(), name)
}

func TestDomainIsRegistered(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, other := s.newTenant(), s.newTenant()
	answer := owner.call(http.MethodPost, domainsPath, map[string]any{"domain": "one.example", "mailFromSubdomain": "Bounce"}).is(http.StatusCreated)
	created := decoded[api.Domain](answer)
	if answer.header.Get("Location") != domainPath(created) || created.ID.Version() != 7 {
		t.Errorf("Location is %q for %s", answer.header.Get("Location"), created.ID)
	}
	if created.Domain != "one.example" || created.Status != api.DomainStatusPending || created.CustomMailFromDomain != "bounce.one.example" ||
		created.VerifiedAt != nil || created.LastCheckedAt != nil || s.clock.now().Sub(created.CreatedAt).Abs() > time.Minute {
		t.Errorf("created %+v", created)
	}
	identity, err := s.identity("one.example")
	must(t, err)
	want := []api.DNSRecord{
		{Type: "TXT", Name: "_mailstack.one.example", Purpose: "Ownership", Required: true, Value: purpose(t, created, "Ownership").Value},
	}
	for _, token := range identity.DKIMTokens {
		want = append(want, api.DNSRecord{
			Type: "CNAME", Name: token + "._domainkey.one.example", Value: token + ".dkim.amazonses.com", Purpose: "DKIM", Required: true,
		})
	}
	want = append(want,
		api.DNSRecord{Type: "MX", Name: "bounce.one.example", Value: "10 feedback-smtp.us-east-1.amazonses.com", Purpose: "MAIL FROM", Required: true},
		api.DNSRecord{Type: "TXT", Name: "bounce.one.example", Value: "v=spf1 include:amazonses.com ~all", Purpose: "SPF", Required: true},
		api.DNSRecord{Type: "TXT", Name: "_dmarc.one.example", Value: "v=DMARC1; p=none;", Purpose: "DMARC"},
	)
	for i := range want {
		want[i].TTL, want[i].Status, want[i].Observed = 1800, "Pending", []string{}
	}
	if len(identity.DKIMTokens) != 3 || !reflect.DeepEqual(created.DNSRecords, want) {
		t.Errorf("records are\n%+v\nwant\n%+v", created.DNSRecords, want)
	}
	if identity.MailFromDomain != "" {
		t.Errorf("the MAIL FROM %s was set before any proof", identity.MailFromDomain)
	}
	if read := owner.domain(created); !reflect.DeepEqual(read, created) {
		t.Errorf("reads as %+v, created %+v", read, created)
	}
	same := other.register("one.example")
	if value := purpose(t, same, "Ownership").Value; len(value) < 32 || value == purpose(t, created, "Ownership").Value {
		t.Errorf("two organizations share the ownership value %q", value)
	}
	if !reflect.DeepEqual(records(same, "DKIM"), records(created, "DKIM")) {
		t.Error("the DKIM records of a name differ")
	}
	second := owner.register("two.example")
	list := owner.listDomains()
	if len(list) != 2 || !reflect.DeepEqual(list[0], second) || !reflect.DeepEqual(list[1], created) {
		t.Errorf("listed %+v", list)
	}
}

func TestDomainNames(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	label := strings.Repeat("a", 63)
	for given, want := range map[string]string{
		"Upper.EXAMPLE": "upper.example", "dot.example.": "dot.example", "bücher.example": "xn--bcher-kva.example",
		"BÜCHER.com": "xn--bcher-kva.com", "XN--BCHER-KVA.net": "xn--bcher-kva.net", "a.b.c.d.example": "a.b.c.d.example",
		"me.github.io": "me.github.io", "acme.co.uk": "acme.co.uk", "1and1.example": "1and1.example", "a--b.example": "a--b.example",
		label + ".example": label + ".example", "a.b": "a.b",
	} {
		answer := owner.call(http.MethodPost, domainsPath, map[string]any{"domain": given})
		if answer.status != http.StatusCreated || decoded[api.Domain](answer).Domain != want {
			t.Errorf("%q: %d %s", given, answer.status, answer.body)
		}
	}
	for given, want := range map[string]any{"default": nil, "lower": "BOUNCE", "digits": "0", "longest": label} {
		created := decoded[api.Domain](owner.call(http.MethodPost, domainsPath,
			map[string]any{"domain": given + ".example", "mailFromSubdomain": want}).is(http.StatusCreated))
		subdomain, _ := want.(string)
		if subdomain == "" {
			subdomain = "mail"
		}
		if created.CustomMailFromDomain != strings.ToLower(subdomain)+"."+given+".example" {
			t.Errorf("%v: MAIL FROM is %s", want, created.CustomMailFromDomain)
		}
	}
	before := len(owner.listDomains())
	for _, given := range []any{
		nil, 1, true,
		[]string{"a.example"},
		"", "a", "localhost", "com", "test", "co.uk", "github.io", "xn--p1ai", "127.0.0.1", "::1", "[::1]",
		"[127.0.0.1]", "2130706433", "0x7f.1", "1.2.3", "*.a.example", "a.*", "http://a.example", "a.example/", "a.example:25", "me@a.example",
		"a_b.example", "_dmarc.a.example", "-a.example", "a-.example", "a..example", ".a.example", "a.example..", "a .example", " a.example",
		"a.example ", "a\n.example", "a.example\x00", strings.Repeat("a", 64) + ".example", "xn--zz--9.example", "xn--.example",
		strings.Repeat(label+".", 3) + label + ".example", strings.Repeat("ü", 60) + ".example", "a.example?x", "a.example#x", "a,b.example",
		// With "mail." before it the name is too long.
		strings.Repeat(label+".", 3) + strings.Repeat("b", 52) + ".example",
	} {
		found := owner.call(http.MethodPost, domainsPath, map[string]any{"domain": given}).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		if !slices.Contains(pointers(found), "/domain") && !slices.Contains(pointers(found), "/mailFromSubdomain") {
			t.Errorf("%q: pointers %q", given, pointers(found))
		}
	}
	for _, given := range []any{1, "", " ", "a.b", "-a", "a-", "a_b", "é", "*", "@", "a\n", "a\x00", strings.Repeat("a", 64)} {
		found := owner.call(http.MethodPost, domainsPath, map[string]any{"domain": "fine.example", "mailFromSubdomain": given}).
			problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		if !slices.Contains(pointers(found), "/mailFromSubdomain") {
			t.Errorf("subdomain %q: pointers %q", given, pointers(found))
		}
	}
	if after := len(owner.listDomains()); after != before {
		t.Errorf("refused requests left %d domains", after-before)
	}
}

func TestDomainConflicts(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, other := s.newTenant(), s.newTenant()
	first := owner.register("taken.example")
	for _, spelling := range []string{"taken.example", "TAKEN.example", "taken.example."} {
		owner.call(http.MethodPost, domainsPath, map[string]any{"domain": spelling, "mailFromSubdomain": "other"}).
			problem(http.StatusConflict, api.ProblemCodeDomainExists)
	}
	other.register("taken.example")
	owner.register("below.taken.example")
	owner.call(http.MethodDelete, domainPath(first), nil).is(http.StatusNoContent)
	owner.register("taken.example")
	statuses := concurrently(10, func(int) int {
		return owner.call(http.MethodPost, domainsPath, map[string]any{"domain": "raced.example"}).status
	})
	if statuses[http.StatusCreated] != 1 || statuses[http.StatusConflict] != 9 {
		t.Errorf("10 at once for one name: %v", statuses)
	}
}

func TestDomainLimit(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	for i := range 95 {
		_, err := s.store.Queries().DomainInsert(t.Context(), db.DomainInsertParams{
			ID: uuid.Must(uuid.NewV7()), OrganizationID: owner.id, Name: fmt.Sprintf("filler-%d.example", i), MailFromSubdomain: "mail",
			OwnershipToken: "x", Now: s.clock.now(),
		})
		must(t, err)
	}
	statuses := concurrently(12, func(i int) int {
		answer := owner.call(http.MethodPost, domainsPath, map[string]any{"domain": fmt.Sprintf("raced-%d.example", i)})
		if answer.status == http.StatusConflict && decoded[api.Problem](answer).Code != api.ProblemCodeDomainLimitReached {
			t.Errorf("%s", answer.body)
		}
		return answer.status
	})
	if statuses[http.StatusCreated] != 5 || statuses[http.StatusConflict] != 7 {
		t.Errorf("12 at once with room for 5: %v", statuses)
	}
	list := owner.listDomains()
	if len(list) != 100 {
		t.Errorf("%d domains are listed", len(list))
	}
	// A name that is taken is told from a limit that is reached.
	owner.call(http.MethodPost, domainsPath, map[string]any{"domain": list[0].Domain}).problem(http.StatusConflict, api.ProblemCodeDomainExists)
	owner.call(http.MethodDelete, domainPath(list[0]), nil).is(http.StatusNoContent)
	owner.register("one-more.example")
}

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

// What was just looked up stands: whoever asks in a loop does not put the DNS under load.
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
	if later := owner.verify(registered); later.Status != api.DomainStatusVerified || !later.LastCheckedAt.After(*first.LastCheckedAt) {
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
	if found := owner.verify(verified); found.Status != api.DomainStatusVerified || found.StatusReason != nil || !found.VerifiedAt.Equal(*verified.VerifiedAt) {
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

func TestDomainIsDeleted(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	deleted := owner.listDomains()[0]
	queued := owner.send(email(from))
	if gone := owner.call(http.MethodDelete, domainPath(deleted), nil).is(http.StatusNoContent); len(gone.body) != 0 {
		t.Errorf("204 came with %q", gone.body)
	}
	for _, again := range [][2]string{{http.MethodDelete, ""}, {http.MethodGet, ""}, {http.MethodPost, "/verify"}} {
		owner.call(again[0], domainPath(deleted)+again[1], nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	}
	if list := owner.listDomains(); len(list) != 0 {
		t.Errorf("listed %+v", list)
	}
	owner.call(http.MethodPost, "/v1/emails", email(from)).problem(http.StatusBadRequest, api.ProblemCodeDomainNotVerified)
	s.startWorker()
	eventually(t, "the queued message fails", func() bool { return owner.read(queued).Status == api.EmailStatusFailed })
	found := owner.read(queued)
	if found.ErrorMessage == nil || !strings.Contains(*found.ErrorMessage, "domain") || found.ProviderMessageID != nil {
		t.Errorf("the message is %+v", found)
	}
	if sent := s.sim.Messages(); len(sent) != 0 {
		t.Errorf("the simulator received %+v", sent)
	}
	// Its name is free again, with another proof to give.
	again := owner.register(deleted.Domain)
	if purpose(t, again, "Ownership").Value == purpose(t, deleted, "Ownership").Value {
		t.Error("the ownership value came back")
	}
}

// All organizations share one SES account. What a stranger does with a name of theirs never reaches its owner.
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

// withoutCheck is an answer without the time of its last check, which the background moves.
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

// Two organizations may both prove a name. The first sets the MAIL FROM, and the deletion of one leaves the other's.
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
		t.Errorf("the identity that nobody uses: %v", err)
	}
}

// SES may lose an identity; verify brings it back.
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
