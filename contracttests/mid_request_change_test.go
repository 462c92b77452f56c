package contracttests

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/intake"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/store"
)

// midway runs a function after a request is let in and before it is accepted.
type midway struct {
	*store.Store
	happen func()
}

func (m midway) TxPipelined(ctx context.Context, work func(tx *db.Queries) error) error {
	m.happen()
	return m.Store.TxPipelined(ctx, work)
}

// interrupted returns the stack with a server that calls happen midway.
func (s *stack) interrupted(happen func()) *stack {
	s.t.Helper()
	newID := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	server, err := rest.New(rest.Config{
		Spec: prepared(s.t), Store: s.store, Domains: s.domains,
		Intake: intake.New(intake.Config{Store: midway{s.store, happen}, Now: s.clock.now, Random: rand.Reader}),
		Now:    s.clock.now, NewID: newID, Random: rand.Reader, Log: slog.New(slog.NewJSONHandler(io.Discard, nil)),
	})
	must(s.t, err)
	listener := httptest.NewServer(server)
	s.t.Cleanup(listener.Close)
	changed := *s
	changed.url = listener.URL
	return &changed
}

// TestMidway removes something that a request needs, after it has passed every check before the transaction.
func TestMidway(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for name, event := range map[string]struct {
		statement string
		status    int
		code      api.ProblemCode
		// item is set where a batch gets a result per item.
		item bool
	}{
		"key revoked":    {`UPDATE api_keys SET revoked_at = now() WHERE organization_id = $1`, 401, api.ProblemCodeUnauthorized, false},
		"key expired":    {`UPDATE api_keys SET expires_at = now() - interval '1 day' WHERE organization_id = $1`, 401, api.ProblemCodeUnauthorized, false},
		"key gone":       {`DELETE FROM api_keys WHERE organization_id = $1`, 401, api.ProblemCodeUnauthorized, false},
		"suspended":      {`UPDATE organizations SET suspended_at = now() WHERE id = $1`, 403, api.ProblemCodeOrganizationInactive, false},
		"domain lost":    {`UPDATE domains SET status = 'Pending' WHERE organization_id = $1`, 400, api.ProblemCodeDomainNotVerified, true},
		"domain gone":    {`DELETE FROM domains WHERE organization_id = $1`, 400, api.ProblemCodeDomainNotVerified, true},
		"suppressed":     {`INSERT INTO suppressions (id, organization_id, address_key, reason, created_at) VALUES (gen_random_uuid(), $1, 'user@example.com', 'Bounce', now())`, 400, api.ProblemCodeRecipientSuppressed, true},
		"nothing to pay": {`UPDATE organizations SET free_monthly_allowance = 0 WHERE id = $1`, 402, api.ProblemCodeFreeTierExhausted, false},
	} {
		for _, path := range []string{singlePath, batchPath} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				tenant, from := s.in(t).newSender()
				tenant.stack = tenant.interrupted(func() { tenant.execute(event.statement, tenant.id) })
				if path == singlePath {
					tenant.refused(path, email(from)).problem(event.status, event.code)
					return
				}
				came := tenant.refused(path, batchOf(email(from), email(from)))
				if !event.item {
					came.problem(event.status, event.code)
					return
				}
				for _, result := range judged(came, 2).Results {
					if result.Code == nil || *result.Code != event.code {
						t.Errorf("result is %+v", result)
					}
				}
			})
		}
	}
}

// TestRevokedKeySendsNothing: from the 204 on, a key sends nothing, at once and on other servers.
func TestRevokedKeySendsNothing(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	elsewhere := tenant.interrupted(func() {})
	id, key := tenant.insertKey("second", []string{"emails:send"}, nil)
	elsewhere.exchange(http.MethodPost, singlePath, key, email(from)).is(http.StatusAccepted)
	tenant.call(http.MethodDelete, "/v1/api-keys/"+id.String(), nil).is(http.StatusNoContent)
	before := tenant.rows()
	for _, instance := range []*stack{tenant.stack, elsewhere} {
		instance.exchange(http.MethodPost, singlePath, key, email(from)).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
		instance.exchange(http.MethodPost, batchPath, key, batchOf(email(from))).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
	}
	if after := tenant.rows(); after != before {
		t.Errorf("rows went from %+v to %+v", before, after)
	}
}

// TestRevokedKeyGetsNothingElse: a revoked key that a server has cached is refused before any other fault is
// reported, on another server too.
func TestRevokedKeyGetsNothingElse(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	requests := map[string]struct {
		path string
		body func(from string) any
	}{
		"no body":               {singlePath, func(string) any { return nil }},
		"unknown member":        {singlePath, func(from string) any { return map[string]any{"from": from, "nonsense": 1} }},
		"unverified domain":     {singlePath, func(string) any { return email("a@elsewhere.test") }},
		"batch of nothing good": {batchPath, func(string) any { return batchOf(map[string]any{"from": "nobody"}) }},
		"batch, empty":          {batchPath, func(string) any { return map[string]any{"emails": []any{}} }},
		"template that is not": {singlePath, func(from string) any {
			return map[string]any{"from": from, "to": "a@example.com", "subject": "s", "templateId": uuid.NewString()}
		}},
		"no body of that length": {singlePath, func(string) any { return strings.Repeat("x", 100) }},
	}
	for reason, event := range map[string]struct {
		statement string
		status    int
		code      api.ProblemCode
	}{
		"revoked":   {`UPDATE api_keys SET revoked_at = now() WHERE organization_id = $1`, 401, api.ProblemCodeUnauthorized},
		"expired":   {`UPDATE api_keys SET expires_at = now() - interval '1 day' WHERE organization_id = $1`, 401, api.ProblemCodeUnauthorized},
		"gone":      {`DELETE FROM api_keys WHERE organization_id = $1`, 401, api.ProblemCodeUnauthorized},
		"suspended": {`UPDATE organizations SET suspended_at = now() WHERE id = $1`, 403, api.ProblemCodeOrganizationInactive},
	} {
		for name, request := range requests {
			t.Run(reason+", "+name, func(t *testing.T) {
				t.Parallel()
				tenant, from := s.in(t).newSender()
				tenant.call(http.MethodPost, singlePath, email(from)).is(http.StatusAccepted)
				tenant.execute(event.statement, tenant.id)
				tenant.refused(request.path, request.body(from)).problem(event.status, event.code)
			})
		}
	}
}

// TestWhatComesBeforeSuspension: a missing scope is reported before the suspension, also for a cached key.
func TestWhatComesBeforeSuspension(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	_, key := tenant.insertKey("reader", []string{"emails:read"}, nil)
	tenant.exchange(http.MethodPost, singlePath, key, email(from)).problem(http.StatusForbidden, api.ProblemCodeMissingScope)
	tenant.execute(`UPDATE organizations SET suspended_at = now() WHERE id = $1`, tenant.id)
	tenant.exchange(http.MethodPost, singlePath, key, email(from)).problem(http.StatusForbidden, api.ProblemCodeMissingScope)
	tenant.execute(`UPDATE api_keys SET revoked_at = now() WHERE organization_id = $1`, tenant.id)
	tenant.exchange(http.MethodPost, singlePath, key, email(from)).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
}
