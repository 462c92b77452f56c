package contracttests

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/sessim"
)

// listAtSES puts addresses on the SES account's suppression list.
func (s *stack) listAtSES(addresses ...string) {
	s.t.Helper()
	for _, address := range addresses {
		s.atSES(http.MethodPut, "", map[string]string{"EmailAddress": address, "Reason": "BOUNCE"}, http.StatusOK)
	}
}

// isListedAtSES fails the test unless want is whether the address is on the account's list.
func (s *stack) isListedAtSES(address string, want bool) {
	s.t.Helper()
	status := http.StatusNotFound
	if want {
		status = http.StatusOK
	}
	s.atSES(http.MethodGet, "/"+url.PathEscape(address), nil, status)
}

func (s *stack) atSES(method, path string, body any, want int) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.simURL+"/v2/email/suppression/addresses"+path, reader(s.t, body))
	must(s.t, err)
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=0")
	response, err := s.http.Do(request)
	must(s.t, err)
	must(s.t, response.Body.Close())
	if response.StatusCode != want {
		s.t.Errorf("SES: %s %s: %d, want %d", method, path, response.StatusCode, want)
	}
}

// TestUnsuppressedAtSES: deleting a suppression also removes the address from the account's list, which is
// case-sensitive.
func TestUnsuppressedAtSES(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	message := tenant.send(email(from, "to", "Sam <Gone@Example.com>", "cc", "GONE@example.com, user@example.com"))
	tenant.suppressFor(api.SuppressionReasonBounce, "gone@example.com", "no such user", message)
	forms := []string{"gone@example.com", "gonE@example.com", "Gone@example.com", "GONE@example.com"}
	s.listAtSES(append(forms, "user@example.com")...)

	// An organization that has not suppressed an address cannot remove it from the shared list.
	s.newTenant().unsuppress("gone@example.com").problem(http.StatusNotFound, api.ProblemCodeNotFound)
	for _, form := range forms {
		s.isListedAtSES(form, true)
	}
	tenant.unsuppress("gonE@example.com").is(http.StatusNoContent)
	for _, form := range forms {
		s.isListedAtSES(form, false)
	}
	s.isListedAtSES("user@example.com", true)

	odd := `"a/b c"@example.com`
	tenant.suppressByHand(odd)
	s.listAtSES(odd)
	tenant.unsuppress(odd).is(http.StatusNoContent)
	s.isListedAtSES(odd, false)
}

// TestUnsuppressWithSESGone: without SES nothing changes, and the same request succeeds later.
func TestUnsuppressWithSESGone(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]sessim.Faults{
		"errors": {Status5xx: -1}, "throttles": {Throttle: -1}, "cuts connections": {DropRequest: -1}, "hangs": {Hang: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			tenant, from := s.newSender()
			tenant.suppressByHand("gone@example.com")
			s.listAtSES("gone@example.com")
			before := tenant.suppressions(nil)
			fault.Operations = []string{"DeleteSuppressedDestination"}
			s.sim.SetFaults(fault)
			came := tenant.unsuppress("gone@example.com")
			found := came.problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
			if !strings.Contains(found.Detail, "SES") || came.header.Get("Retry-After") == "" {
				t.Errorf("the problem is %+v", found)
			}
			if after := tenant.suppressions(nil); !reflect.DeepEqual(after, before) {
				t.Errorf("from %+v to %+v", before, after)
			}
			tenant.refusedBothWays(api.ProblemCodeRecipientSuppressed, "/to", email(from, "to", "gone@example.com"))
			// An address that is not suppressed here needs no SES.
			tenant.unsuppress("nobody@example.com").problem(http.StatusNotFound, api.ProblemCodeNotFound)
			s.sim.ClearFaults()
			tenant.unsuppress("gone@example.com").is(http.StatusNoContent)
			s.isListedAtSES("gone@example.com", false)
			tenant.send(email(from, "to", "gone@example.com"))
		})
	}
}
