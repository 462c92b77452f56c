package contracttests

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
)

const suppressionsPath = "/v1/suppressions"

// suppressFor stores a suppression as an event does.
func (t *tenant) suppressFor(reason api.SuppressionReason, addressKey, detail string, emailID uuid.UUID) int64 {
	t.t.Helper()
	inserted, err := t.store.Queries().SuppressionInsert(t.t.Context(), db.SuppressionInsertParams{
		Ids: []uuid.UUID{uuid.Must(uuid.NewV7())}, OrganizationIds: []uuid.UUID{t.id}, AddressKeys: []string{addressKey},
		Reasons: []string{string(reason)}, Details: []string{detail}, EmailIds: []uuid.UUID{emailID},
		CreatedAt: []time.Time{t.clock.now()},
	})
	must(t.t, err)
	return inserted
}

func suppressing(addresses ...string) map[string]any { return map[string]any{"addresses": addresses} }

// suppressByHand suppresses over the API.
func (t *tenant) suppressByHand(addresses ...string) []api.Suppression {
	t.t.Helper()
	came := t.call(http.MethodPost, suppressionsPath, suppressing(addresses...)).is(http.StatusCreated)
	return decoded[api.CreatedSuppressions](came).Data
}

// unsuppress requests the removal of an address from the list.
func (t *tenant) unsuppress(address string) answer {
	t.t.Helper()
	return t.call(http.MethodDelete, suppressionsPath+"/"+url.PathEscape(address), nil)
}

// suppressions reads a page.
func (t *tenant) suppressions(query url.Values) api.SuppressionList {
	t.t.Helper()
	return decoded[api.SuppressionList](t.call(http.MethodGet, suppressionsPath+"?"+query.Encode(), nil).is(http.StatusOK))
}

func addressesOf(suppressions []api.Suppression) []string {
	var addresses []string
	for _, one := range suppressions {
		addresses = append(addresses, one.Address)
	}
	return addresses
}

// isSuppressed fails the test unless want is whether the address is on the list.
func (t *tenant) isSuppressed(address string, want bool) {
	t.t.Helper()
	if found := t.suppressions(url.Values{"address": {address}}).Data; (len(found) == 1) != want {
		t.t.Errorf("%s: listed as %+v, want it suppressed: %v", address, found, want)
	}
}

// TestSuppressionCircle: an address is suppressed, refused, released and sent to.
func TestSuppressionCircle(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	tenant, from := s.newSender()
	other, theirs := s.newSender()
	tenant.suppressByHand("Gone@Example.com")
	request := email(from, "to", "Sam <gone@example.com>")
	tenant.refusedBothWays(api.ProblemCodeRecipientSuppressed, "/to", request)
	mixed := decoded[api.BatchResult](tenant.call(http.MethodPost, batchPath, batchOf(request, email(from))).is(http.StatusAccepted))
	if mixed.Accepted != 1 || mixed.Rejected != 1 || mixed.Results[0].Status != api.SendStatusRejected ||
		*mixed.Results[0].Code != api.ProblemCodeRecipientSuppressed || *mixed.Results[0].Error != "Recipient is suppressed." {
		t.Errorf("the batch came to %+v", mixed)
	}
	other.send(email(theirs, "to", "gone@example.com"))

	tenant.unsuppress("gone@EXAMPLE.com").is(http.StatusNoContent)
	id := tenant.send(request)
	eventually(t, "the message is sent", func() bool { return tenant.read(id).Status == api.EmailStatusSent })
}

// TestSuppressedWhileWaiting: a message accepted before the suppression is not sent after it.
func TestSuppressedWhileWaiting(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	id := tenant.send(email(from, "bcc", "gone@example.com"))
	tenant.suppressByHand("gone@example.com")
	s.startWorker()
	eventually(t, "the message has failed", func() bool { return tenant.read(id).Status == api.EmailStatusFailed })
	if found := tenant.read(id); *found.ErrorMessage != "Recipient is suppressed." {
		t.Errorf("the message is %+v", found)
	}
}

func TestSuppressionIsShown(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant := s.newTenant()
	cause := uuid.Must(uuid.NewV7())
	tenant.suppressFor(api.SuppressionReasonBounce, "bounced@example.com", "smtp; 550 5.1.1 user unknown", cause)
	tenant.suppressFor(api.SuppressionReasonComplaint, "cross@example.com", "", cause)
	before := tenant.suppressions(nil).Data

	came := tenant.call(http.MethodPost, suppressionsPath, suppressing("Leaver@Example.COM", "bounced@example.com")).is(http.StatusCreated)
	if location := came.header.Get("Location"); location != suppressionsPath {
		t.Errorf("Location is %q", location)
	}
	created := decoded[api.CreatedSuppressions](came).Data
	if len(created) != 2 || !reflect.DeepEqual(created[1], before[1]) {
		t.Fatalf("created %+v, was %+v", created, before)
	}
	leaver := created[0]
	if leaver.Address != "leaver@example.com" || leaver.Reason != api.SuppressionReasonManual || leaver.Detail != nil ||
		leaver.EmailID != nil || s.clock.now().Sub(leaver.CreatedAt.Time).Abs() > time.Minute {
		t.Errorf("created %+v", leaver)
	}
	bounced := created[1]
	if bounced.Reason != api.SuppressionReasonBounce || *bounced.Detail != "smtp; 550 5.1.1 user unknown" || *bounced.EmailID != cause {
		t.Errorf("the bounced one is %+v", bounced)
	}
	listed := tenant.suppressions(nil)
	if want := []api.Suppression{leaver, before[0], before[1]}; !reflect.DeepEqual(listed.Data, want) || listed.NextCursor != nil {
		t.Errorf("listed %+v, want %+v", listed, want)
	}
	if before[0].Reason != api.SuppressionReasonComplaint || before[0].Detail != nil {
		t.Errorf("the complaint is %+v", before[0])
	}

	// A manual suppression keeps its reason when the address bounces; after its removal, a bounce suppresses again.
	if tenant.suppressFor(api.SuppressionReasonBounce, "leaver@example.com", "late", cause) != 0 {
		t.Error("a bounce replaced what was there")
	}
	tenant.unsuppress("leaver@example.com").is(http.StatusNoContent)
	tenant.suppressFor(api.SuppressionReasonBounce, "leaver@example.com", "late", cause)
	if again := tenant.suppressByHand("leaver@example.com"); len(again) != 1 || *again[0].Detail != "late" {
		t.Errorf("now it is %+v", again)
	}
}

// spellings are ways to write an address, by the one form in which it is compared.
var spellings = map[string][]string{
	"user@example.com":             {"user@example.com", "USER@Example.Com", `"user"@example.com`, `"us\er"@example.com`, "  user@example.com "},
	"u+tag%41/x?y#z=1&a@b.example": {"u+tag%41/x?y#z=1&a@b.example", "U+Tag%41/X?Y#Z=1&A@B.example"},
	"%2f@b.example":                {"%2F@b.example"},
	"o'hara/{x}@b.example":         {"O'Hara/{x}@b.example"},
	`"a b"@example.com`:            {`"A B"@example.com`, `"a\ b"@EXAMPLE.com`},
	`"a,b;c"@example.com`:          {`"a,b;c"@example.com`},
	`"a@b"@example.com`:            {`"a@b"@example.com`},
	`"a/b\\\""@example.com`:        {`"a/b\\\""@example.com`},
	"joerg@xn--bcher-kva.example":  {"joerg@bücher.example", "JOERG@BÜCHER.example", "joerg@xn--bcher-kva.example"},
}

// TestSuppressionSpellings: an address is the same however it is written, in every request.
func TestSuppressionSpellings(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for key, ways := range spellings {
		for _, way := range ways {
			t.Run(way, func(t *testing.T) {
				t.Parallel()
				tenant := s.in(t).newTenant()
				came := tenant.call(http.MethodPost, suppressionsPath, suppressing(way)).is(http.StatusCreated)
				if created := decoded[api.CreatedSuppressions](came).Data; created[0].Address != key {
					t.Errorf("created %+v", created)
				}
				for _, other := range ways {
					tenant.isSuppressed(other, true)
				}
				if again := tenant.suppressByHand(append(slices.Clone(ways), key)...); len(again) != 1 {
					t.Errorf("created %+v", again)
				}
				tenant.unsuppress(way).is(http.StatusNoContent)
				tenant.isSuppressed(key, false)
				tenant.unsuppress(way).problem(http.StatusNotFound, api.ProblemCodeNotFound)

				// Location names the created suppression.
				location := tenant.call(http.MethodPost, suppressionsPath, suppressing(way)).header.Get("Location")
				tenant.call(http.MethodDelete, location, nil).is(http.StatusNoContent)
				tenant.isSuppressed(key, false)
			})
		}
	}
}

// TestSuppressedAddressInThePath: an address in the path may be percent-escaped in any way.
func TestSuppressedAddressInThePath(t *testing.T) {
	t.Parallel()
	tenant := newStack(t).newTenant()
	for _, path := range []string{
		"user@example.com", "user%40example.com", "%75ser@example.com", "%75%73%65%72%40%65xample.com", "%20user@example.com%20",
	} {
		tenant.suppressByHand("user@example.com")
		tenant.call(http.MethodDelete, suppressionsPath+"/"+path, nil).is(http.StatusNoContent)
	}
	tenant.suppressByHand("user@example.com")
	for _, path := range []string{
		"user", "@", "user@", "user@localhost", "user@127.0.0.1", "user%2540example.com", "user%00@example.com", "%00%00%00", "user@example.com%0A",
		"user%0D%0A@example.com", "%0Auser@example.com", "user%E2%80%A8@example.com", "%FF@example.com", "us%C3%A9r@example.com", "us%20er@example.com", "<user@example.com>",
		"Sam%20%3Cuser@example.com%3E", "user@example.com,b@example.com", "user@example.com%2C%20b@example.com", "..%2Fuser", "a@b@example.com",
		strings.Repeat("a", 65) + "@example.com", "user@" + strings.Repeat("a.", 200) + "example", strings.Repeat("a", 5000), "0197b2c4-6b21-7d5a-8e3f-2a1b0c9d8e7f",
	} {
		found := tenant.call(http.MethodDelete, suppressionsPath+"/"+path, nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		if !strings.Contains(found.Detail, "address") {
			t.Errorf("%q: detail %q", path, found.Detail)
		}
	}
	for _, path := range []string{"/", "/user@example.com/", "/user@example.com/x", "//user@example.com"} {
		tenant.call(http.MethodDelete, suppressionsPath+path, nil).problem(http.StatusNotFound, api.ProblemCodeRouteNotFound)
	}
	tenant.isSuppressed("user@example.com", true)
}

func TestSuppressionsAreRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	many := func(count int) []string {
		addresses := make([]string, count)
		for i := range addresses {
			addresses[i] = fmt.Sprintf("user%d@example.com", i)
		}
		return addresses
	}
	tenant := s.newTenant()
	for name, c := range map[string]struct {
		body    any
		pointer string
	}{
		"none":               {`{}`, ""},
		"null":               {`{"addresses":null}`, "/addresses"},
		"a string":           {`{"addresses":"user@example.com"}`, "/addresses"},
		"empty":              {`{"addresses":[]}`, "/addresses"},
		"1001":               {suppressing(many(1001)...), "/addresses"},
		"1001 times one":     {suppressing(slices.Repeat([]string{"user@example.com"}, 1001)...), "/addresses"},
		"a number":           {`{"addresses":[1]}`, "/addresses/0"},
		"null inside":        {`{"addresses":["user@example.com",null]}`, "/addresses/1"},
		"a list inside":      {`{"addresses":[["user@example.com"]]}`, "/addresses/0"},
		"an unknown member":  {`{"addresses":["user@example.com"],"reason":"Bounce"}`, "/reason"},
		"an empty one":       {suppressing("user@example.com", ""), "/addresses/1"},
		"a name":             {suppressing("Sam <user@example.com>"), "/addresses/0"},
		"two in one":         {suppressing("user@example.com, b@example.com"), "/addresses/0"},
		"no address":         {suppressing("user@example.com", "b@example.com", "zzz"), "/addresses/2"},
		"a domain":           {suppressing("@example.com"), "/addresses/0"},
		"an IP address":      {suppressing("user@127.0.0.1"), "/addresses/0"},
		"beyond ASCII":       {suppressing("usér@example.com"), "/addresses/0"},
		"a line break":       {suppressing("user@example.com\n"), "/addresses/0"},
		"a header":           {suppressing("user@example.com\r\nBcc: b@example.com"), "/addresses/0"},
		"NUL":                {`{"addresses":["user\u0000@example.com"]}`, "/addresses/0"},
		"a line separator":   {suppressing("user\u2028@example.com"), "/addresses/0"},
		"too long":           {suppressing(strings.Repeat("a", 65) + "@example.com"), "/addresses/0"},
		"too long as a text": {suppressing(strings.Repeat(" ", 320) + "user@example.com"), "/addresses/0"},
		"a bad punycode":     {suppressing("user@xn--a.example"), "/addresses/0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := tenant.in(t).call(http.MethodPost, suppressionsPath, c.body).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
			named := pointers(found)
			// A missing member is named by its own pointer or by the body's.
			if !slices.Contains(named, c.pointer) && (c.pointer != "" || !slices.Contains(named, "/addresses")) {
				t.Errorf("pointers %q, want %q", named, c.pointer)
			}
			if listed := tenant.in(t).suppressions(nil); len(listed.Data) != 0 {
				t.Errorf("suppressed all the same: %+v", listed)
			}
		})
	}
	t.Run("as many as there may be", func(t *testing.T) {
		t.Parallel()
		other := s.in(t).newTenant()
		created := other.suppressByHand(many(1000)...)
		if got := addressesOf(created); !slices.Equal(got, many(1000)) {
			t.Errorf("created %q", got)
		}
		// The last of them is the newest.
		want := many(1000)
		slices.Reverse(want)
		if got := other.allSuppressions(url.Values{"limit": {"100"}}, func() {}); !slices.Equal(got, want) {
			t.Errorf("listed %q", got)
		}
	})
}

// TestSuppressionsAtOnce: concurrent requests to suppress the same addresses all succeed, with the same response.
func TestSuppressionsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant := s.newTenant()
	var addresses []string
	for i := range 200 {
		addresses = append(addresses, fmt.Sprintf("user%d@example.com", i))
	}
	backwards := slices.Clone(addresses)
	slices.Reverse(backwards)
	answers := make([]answer, 16)
	statuses := concurrently(len(answers), func(i int) int {
		given := addresses
		if i%2 == 1 {
			given = backwards
		}
		answers[i] = tenant.call(http.MethodPost, suppressionsPath, suppressing(given...))
		return answers[i].status
	})
	if statuses[http.StatusCreated] != len(answers) {
		t.Fatalf("answers: %v", statuses)
	}
	first := decoded[api.CreatedSuppressions](answers[0]).Data
	slices.Reverse(first)
	for i, one := range answers[1:] {
		got := decoded[api.CreatedSuppressions](one).Data
		if i%2 == 1 {
			slices.Reverse(got)
		}
		if !reflect.DeepEqual(got, first) {
			t.Fatalf("two who suppress the same are told otherwise: %+v, %+v", got, first)
		}
	}
	if got := tenant.allSuppressions(url.Values{"limit": {"100"}}, func() {}); len(got) != len(addresses) {
		t.Errorf("%d are suppressed", len(got))
	}
	// A request to suppress returns every address, also beside concurrent deletions.
	statuses = concurrently(64, func(i int) int {
		if i%2 == 1 {
			return tenant.unsuppress("user7@example.com").status
		}
		came := tenant.call(http.MethodPost, suppressionsPath, suppressing("user7@example.com"))
		if created := decoded[api.CreatedSuppressions](came).Data; len(created) != 1 {
			t.Errorf("created %+v", created)
		}
		return came.status
	})
	if statuses[http.StatusCreated] != 32 || statuses[http.StatusNoContent]+statuses[http.StatusNotFound] != 32 || statuses[http.StatusNoContent] == 0 {
		t.Errorf("answers: %v", statuses)
	}
}
