package contracttests

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
)

func TestRateIsPerKeyAndSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{requestsPerSecond: 0.5})
	s.clock.stop()
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

// A request costs 1, a batch 1 for each 10 items begun: what a key may send does not depend on how it is packed. What a
// batch costs beyond 1 is known when it has been read, and is paid by the requests after it.
func TestABatchIsPricedByItsItems(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{requestsPerSecond: 10})
	tenant, from := s.newSender()
	s.clock.stop()
	batch := func(items int) answer {
		emails := make([]map[string]string, items)
		for i := range emails {
			emails[i] = map[string]string{"from": from, "to": "b@example.com", "subject": "s", "text": "t"}
		}
		return tenant.call(http.MethodPost, "/v1/emails/batch", map[string]any{"emails": emails})
	}
	left := func(came answer) (requests int) {
		if _, err := fmt.Sscanf(came.is(http.StatusAccepted).header.Get("RateLimit"), `"key";r=%d;`, &requests); err != nil {
			t.Fatal(err)
		}
		return requests
	}
	before := left(batch(1))
	after := left(batch(100))
	if taken := before - after; taken != 10 {
		t.Errorf("a batch of 100 took %d of what was left", taken)
	}
}

// Test events cost nothing, so their rate is the organization's, whatever number of keys it has.
func TestTestEventsAreLimitedByOrganization(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.clock.stop()
	owner, other := s.newTenant(), s.newTenant()
	created, theirs := owner.createWebhook("https://webhooks.invalid/", "email.sent"), other.createWebhook("https://webhooks.invalid/", "email.sent")
	path := webhooksPath + "/" + created.ID.String()
	_, second := owner.insertKey("second", []string{"webhooks:write"}, nil)
	untilRefused := func(key string, least int) {
		t.Helper()
		for accepted := 0; ; accepted++ {
			came := s.exchange(http.MethodPost, path+"/test", key, nil)
			if came.status == http.StatusAccepted && accepted < 1000 {
				continue
			}
			came.problem(http.StatusTooManyRequests, api.ProblemCodeRateLimited)
			if accepted < least || came.header.Get("Retry-After") != "1" {
				t.Errorf("refused after %d, until %q", accepted, came.header.Get("Retry-After"))
			}
			return
		}
	}
	untilRefused(owner.key, 20)
	untilRefused(second, 0)
	other.call(http.MethodPost, webhooksPath+"/"+theirs.ID.String()+"/test", nil).is(http.StatusAccepted)
	s.clock.advance(10 * time.Second)
	untilRefused(second, 20)
}
