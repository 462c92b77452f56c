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
	"github.com/voostack/mailstack/impl/ses"
)

const domainsPath = "/v1/domains"

func domainPath(domain api.Domain) string { return domainsPath + "/" + domain.ID.String() }

// verify asks for a check that does not reuse the last result.
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

// purpose returns the first record of a domain for a purpose.
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

// records returns the records of a domain for a purpose.
func records(domain api.Domain, wanted api.DNSRecordPurpose) []api.DNSRecord {
	return slices.DeleteFunc(slices.Clone(domain.DNSRecords), func(r api.DNSRecord) bool { return r.Purpose != wanted })
}

// identity returns a domain's identity in the SES account.
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
		created.VerifiedAt != nil || created.LastCheckedAt != nil || s.clock.now().Sub(created.CreatedAt.Time).Abs() > time.Minute {
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
	// A name that is taken gets another problem than a reached limit.
	owner.call(http.MethodPost, domainsPath, map[string]any{"domain": list[0].Domain}).problem(http.StatusConflict, api.ProblemCodeDomainExists)
	owner.call(http.MethodDelete, domainPath(list[0]), nil).is(http.StatusNoContent)
	owner.register("one-more.example")
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
	// The name is free again, with another ownership token.
	again := owner.register(deleted.Domain)
	if purpose(t, again, "Ownership").Value == purpose(t, deleted, "Ownership").Value {
		t.Error("the ownership value came back")
	}
}
