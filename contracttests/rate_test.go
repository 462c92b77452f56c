package contracttests

import (
	"net/http"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
)

func TestRateIsPerKeyAndSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{requestsPerSecond: 0.5})
	tenant := s.newTenant()
	_, other := tenant.insertKey("other", []string{"billing:read"}, nil)
	first := tenant.call(http.MethodGet, "/v1/billing/usage", nil).is(http.StatusOK)
	for name, want := range map[string]string{
		"RateLimit": `"key";r=0;t=2`, "RateLimit-Policy": `"key";q=1;w=2`,
	} {
		if got := first.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	refused := tenant.call(http.MethodGet, "/v1/billing/usage", nil)
	refused.problem(http.StatusTooManyRequests, api.ProblemCodeRateLimited)
	if got := refused.header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After is %q", got)
	}
	s.exchange(http.MethodGet, "/v1/billing/usage", other, nil).is(http.StatusOK)
	s.clock.advance(2 * time.Second)
	tenant.call(http.MethodGet, "/v1/billing/usage", nil).is(http.StatusOK)
}

func TestNoRateIsAnnouncedWhereNoneIsSet(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	header := s.newTenant().call(http.MethodGet, "/v1/billing/usage", nil).is(http.StatusOK).header
	if header.Get("RateLimit") != "" || header.Get("RateLimit-Policy") != "" {
		t.Errorf("a limit is announced: %v", header)
	}
}
