package contracttests

import (
	"net/http"
	"testing"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/devdb"
	"github.com/voostack/mailstack/impl/store/storetest"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, probe := range []string{"/healthz", "/readyz"} {
		for _, key := range []string{"", "no key of ours"} {
			answer := s.exchange(http.MethodGet, probe, key, nil).is(http.StatusOK)
			if string(answer.body) != "{\"status\":\"ok\"}\n" {
				t.Errorf("%s: %q", probe, answer.body)
			}
		}
	}
}

// A process without its database is alive, so that a restart in vain is avoided, but not ready.
func TestHealthWithoutPostgres(t *testing.T) {
	t.Parallel()
	postgres := storetest.Server(t)
	s := newStack(t, options{store: storetest.Open(t, postgres.DSN(devdb.Database))})
	s.exchange(http.MethodGet, "/readyz", "", nil).is(http.StatusOK)
	must(t, postgres.Kill())
	for range 2 {
		s.exchange(http.MethodGet, "/healthz", "", nil).is(http.StatusOK)
		answer := s.exchange(http.MethodGet, "/readyz", "", nil)
		answer.problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
		if answer.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	must(t, postgres.Restart(t.Context()))
	s.exchange(http.MethodGet, "/readyz", "", nil).is(http.StatusOK)
}

// A server on a database without migrations is not ready.
func TestReadinessWantsTheSchema(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{store: storetest.Open(t, storetest.EmptyURL(t))})
	s.exchange(http.MethodGet, "/healthz", "", nil).is(http.StatusOK)
	s.exchange(http.MethodGet, "/readyz", "", nil).problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
}

func TestHealthWhileDraining(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant := s.newTenant()
	s.server.Drain()
	s.exchange(http.MethodGet, "/healthz", "", nil).is(http.StatusOK)
	for _, path := range []string{"/readyz", "/v1/domains", "/v1/billing/usage"} {
		answer := tenant.call(http.MethodGet, path, nil)
		answer.problem(http.StatusServiceUnavailable, api.ProblemCodeDraining)
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
}
