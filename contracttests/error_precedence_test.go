package contracttests

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/apikey"
)

func TestUnauthorized(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	past := s.clock.now().Add(-time.Second)
	_, expired := owner.insertKey("expired", apikey.Scopes(), &past)
	revokedID, revoked := owner.insertKey("revoked", apikey.Scopes(), nil)
	owner.call(http.MethodDelete, "/v1/api-keys/"+revokedID.String(), nil).is(http.StatusNoContent)
	_, other := owner.insertKey("other", apikey.Scopes(), nil)
	good := "Bearer " + owner.key
	secretAt := len("ms_live_12345678_")
	cases := map[string][]string{
		"no header":        nil,
		"empty":            {""},
		"two headers":      {good, good},
		"no scheme":        {owner.key},
		"scheme alone":     {"Bearer"},
		"no key":           {"Bearer "},
		"other scheme":     {"Basic " + owner.key},
		"scheme run on":    {"Bearer" + owner.key},
		"two spaces":       {"Bearer  " + owner.key},
		"two keys":         {good + ", " + good},
		"cut":              {good[:len(good)-1]},
		"longer":           {good + "A"},
		"masked":           {"Bearer " + apikey.Mask(owner.key[8:16])},
		"upper case":       {"Bearer " + strings.ToUpper(owner.key)},
		"unknown prefix":   {"Bearer ms_live_00000000_" + owner.key[secretAt:]},
		"another's secret": {"Bearer " + owner.key[:secretAt] + other[secretAt:]},
		"test key":         {"Bearer ms_test_" + owner.key[len("ms_live_"):]},
		"expired":          {"Bearer " + expired},
		"revoked":          {"Bearer " + revoked},
		"SQL":              {"Bearer ms_live_' OR 1=1_" + owner.key[secretAt:]},
	}
	// These show no credential that the server could read (RFC 6750, section 3.1).
	without := []string{"no header", "empty", "no scheme", "scheme alone", "no key", "other scheme", "scheme run on"}
	var first []byte
	for _, op := range operations(t, secured) {
		for name, values := range cases {
			request, err := http.NewRequestWithContext(t.Context(), op.method, s.url+op.absent(), reader(t, op.body()))
			must(t, err)
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("X-Request-Id", "same")
			request.Header["Authorization"] = values
			answer := s.do(request)
			challenge := `Bearer error="invalid_token"`
			if slices.Contains(without, name) {
				challenge = "Bearer"
			}
			if answer.status != http.StatusUnauthorized || answer.header.Get("WWW-Authenticate") != challenge {
				t.Errorf("%s, %s: %d, WWW-Authenticate %q", op.id, name, answer.status, answer.header.Get("WWW-Authenticate"))
				continue
			}
			answer.problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
			if first == nil {
				first = answer.body
			}
			if !bytes.Equal(first, answer.body) {
				t.Errorf("%s, %s: the answer tells what is wrong with the key: %s", op.id, name, answer.body)
			}
		}
	}
	if status := s.exchange(http.MethodGet, "/v1/domains", "", nil, "Authorization", "bEARER "+owner.key).status; status != http.StatusOK {
		t.Errorf("a scheme in another case: %d", status)
	}
}

func TestForbidden(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	suspended := s.newTenant()
	suspended.suspend()
	for _, op := range operations(t, secured) {
		t.Run(op.id, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			caller := s.newTenant()
			_, lacking := caller.insertKey("lacking", without(op.scopes), nil)
			found := s.exchange(op.method, op.absent(), lacking, op.body()).
				problem(http.StatusForbidden, api.ProblemCodeMissingScope)
			for _, scope := range op.scopes {
				if !strings.Contains(found.Detail, scope) {
					t.Errorf("the detail %q does not name %s", found.Detail, scope)
				}
				_, sufficient := caller.insertKey(scope, []string{scope}, nil)
				if status := s.exchange(op.method, op.absent(), sufficient, op.body()).status; status == http.StatusForbidden {
					// A key whose only scope is to create keys may not create the key of the example.
					if op.id != "createApiKey" {
						t.Errorf("%s does not suffice", scope)
					}
				}
			}
			suspended.in(t).call(op.method, op.absent(), op.body()).
				problem(http.StatusForbidden, api.ProblemCodeOrganizationInactive)
		})
	}
}

// An organization whose suspension is lifted goes on with the same key.
func TestResumedOrganization(t *testing.T) {
	t.Parallel()
	caller := newStack(t).newTenant()
	caller.suspend()
	caller.call(http.MethodGet, "/v1/domains", nil).problem(http.StatusForbidden, api.ProblemCodeOrganizationInactive)
	_, err := caller.store.Queries().OrganizationResume(t.Context(), caller.id)
	must(t, err)
	caller.call(http.MethodGet, "/v1/domains", nil).is(http.StatusOK)
}

func TestNotFoundTellsNothing(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	message := owner.send(email(from)).String()
	domains := decoded[api.DomainList](owner.call(http.MethodGet, "/v1/domains", nil))
	ids := map[string]string{
		"emails": message, "domains": domains[0].ID.String(), "api-keys": owner.keyID.String(), "suppressions": "gone@example.com",
		"templates": owner.template("<p>Hi</p>", "Hi", true).String(),
		"webhooks":  owner.createWebhook("https://example.com/webhooks", "email.sent").ID.String(),
	}
	owner.suppress("gone@example.com")
	stranger := s.newTenant()
	for _, op := range operations(t, secured, named) {
		owned := ids[strings.Split(op.path, "/")[2]]
		if owned == "" {
			t.Fatalf("%s: this test knows no resource of its kind", op.id)
		}
		of := func(path string) answer {
			answer := stranger.call(op.method, path, op.body(), "X-Request-Id", "same")
			answer.problem(http.StatusNotFound, api.ProblemCodeNotFound)
			for _, changing := range []string{"Date"} {
				answer.header.Del(changing)
			}
			return answer
		}
		absent, others, zero := of(op.absent()), of(op.at(owned)), of(op.at(op.name(uuid.Nil)))
		if !bytes.Equal(absent.body, others.body) || !bytes.Equal(absent.body, zero.body) {
			t.Errorf("%s: absent %s\nanother's %s", op.id, absent.body, others.body)
		}
		for name := range absent.header {
			if absent.header.Get(name) != others.header.Get(name) {
				t.Errorf("%s: %s is %q for an absent and %q for another's", op.id, name, absent.header.Get(name), others.header.Get(name))
			}
		}
	}
	// The requests of the stranger had no effect.
	owner.call(http.MethodGet, "/v1/emails/"+message, nil).is(http.StatusOK)
	owner.call(http.MethodGet, "/v1/domains/"+ids["domains"], nil).is(http.StatusOK)
	owner.isSuppressed("gone@example.com", true)
}

func TestMalformedID(t *testing.T) {
	t.Parallel()
	caller := newStack(t).newTenant()
	const id = "0197b2c4-5a10-7cc3-9d4e-1f0a2b3c4d5e"
	for _, op := range operations(t, withID) {
		for _, malformed := range []string{
			"zzz", "1", "-1", id + "0", id[:35], strings.ReplaceAll(id, "-", ""), "%7B" + id + "%7D", "urn:uuid:" + id,
			id[:35] + "g", "%20" + id[1:], id + "%20", "%00", id[:35] + "%00", "%F0%9F%93%AE", "null", "..%2F" + id, strings.Repeat("a", 2000),
			id + "%2F" + id, "'%20OR%201=1",
		} {
			found := caller.call(op.method, op.at(malformed), op.body()).
				problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
			if !strings.Contains(found.Detail, "id") {
				t.Errorf("%s %q: detail %q", op.id, malformed, found.Detail)
			}
		}
		// A UUID's letters may be in either case.
		caller.call(op.method, op.at(strings.ToUpper(id)), op.body()).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	}
}

func TestBodyIsRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, op := range operations(t, withBody) {
		t.Run(op.id, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			caller := s.newTenant()
			for _, contentType := range []string{
				"", "text/plain", "application/xml", "application/problem+json", "application/jsonx", "application/json; charset=latin1",
				"application/json, application/json", "multipart/form-data; boundary=x", "json", ";",
			} {
				caller.call(op.method, op.absent(), op.body(), "Content-Type", contentType).
					problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
			}
			for _, encoding := range []string{"gzip", "br", "identity, gzip"} {
				caller.call(op.method, op.absent(), op.body(), "Content-Encoding", encoding).
					problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType)
			}
			large := padded(op.example, op.limit+1)
			caller.call(op.method, op.absent(), large).problem(http.StatusRequestEntityTooLarge, api.ProblemCodePayloadTooLarge)
			request, err := http.NewRequestWithContext(t.Context(), op.method, s.url+op.absent(), struct{ *bytes.Reader }{bytes.NewReader(large)})
			must(t, err)
			request.ContentLength = -1
			request.Header.Set("Authorization", "Bearer "+caller.key)
			request.Header.Set("Content-Type", "application/json")
			s.do(request).problem(http.StatusRequestEntityTooLarge, api.ProblemCodePayloadTooLarge)

			for _, malformed := range []any{
				nil, "", " \n", "{", "not JSON", op.example[:len(op.example)-1], op.example + "x", op.example + op.example,
				op.example + " []", "\ufeff" + op.example, "{'a':1}", "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `{"a":1,"a":1}`,
				strings.Repeat("[", 10000), strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33),
			} {
				caller.call(op.method, op.absent(), malformed, "Content-Type", "application/json").
					problem(http.StatusBadRequest, api.ProblemCodeMalformedJSON)
			}
			for body, pointer := range map[string]string{
				"null": "", "[]": "", `"text"`: "", "1": "", "true": "",
				`{"sujbect":1}`: "/sujbect", `{"a/b~c":1}`: "/a~1b~0c", `{"":1}`: "/",
			} {
				found := caller.call(op.method, op.absent(), body).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
				if !slices.Contains(pointers(found), pointer) {
					t.Errorf("%s: pointers %q, want %q", body, pointers(found), pointer)
				}
			}
			if usage := caller.usage(); usage.EmailsSent != 0 {
				t.Errorf("%d emails were counted", usage.EmailsSent)
			}
			// A body at the limit, and every harmless spelling of the type, pass all of these checks.
			exact := padded(op.example, op.limit)
			for _, contentType := range []string{"application/json", "Application/JSON", "application/json; charset=UTF-8", `application/json;charset="utf-8"`} {
				answer := caller.call(op.method, op.absent(), exact, "Content-Type", contentType, "Content-Encoding", "identity")
				if answer.status == http.StatusUnsupportedMediaType || answer.status == http.StatusRequestEntityTooLarge {
					t.Errorf("%q with a body at the limit: %s", contentType, answer.body)
				}
			}
		})
	}
}

// padded returns a JSON document with white space before it, size bytes long.
func padded(document string, size int64) []byte {
	return append(bytes.Repeat([]byte{' '}, int(size)-len(document)), document...)
}

func TestRateLimited(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{requestsPerSecond: 0.001})
	caller := s.newTenant()
	for _, op := range operations(t, secured) {
		// The key lacks a scope: the rate limit comes before scopes are checked.
		_, key := caller.insertKey(op.id, without(op.scopes), nil)
		s.exchange(op.method, op.absent(), key, op.body()).problem(http.StatusForbidden, api.ProblemCodeMissingScope)
		answer := s.exchange(op.method, op.absent(), key, op.body())
		answer.problem(http.StatusTooManyRequests, api.ProblemCodeRateLimited)
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", op.id)
		}
		// A caller without the secret can neither use up the owner's rate nor learn about it.
		s.exchange(op.method, op.absent(), key[:len(key)-4]+"AAAA", op.body()).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
	}
	caller.call(http.MethodGet, "/v1/domains", nil).is(http.StatusOK)
	for range 3 {
		s.exchange(http.MethodGet, "/healthz", "", nil).is(http.StatusOK)
	}
}

// Every request here is wrong in several ways, and the response is about the fault that the contract puts first.
func TestOrderOfChecks(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	owner.register("taken.example")
	_, scopeless := owner.insertKey("scopeless", []string{"billing:read"}, nil)
	suspended := s.newTenant()
	_, suspendedScopeless := suspended.insertKey("scopeless", []string{"billing:read"}, nil)
	suspended.suspend()
	large := strings.Repeat(" ", 10<<20+1)
	taken := `{"domain":"taken.example","x":1}`
	for name, c := range map[string]struct {
		method, path, key string
		body              any
		contentType       string
		status            int
		code              api.ProblemCode
	}{
		"404 before 401":                {"GET", "/v1/none", "", nil, "", 404, api.ProblemCodeRouteNotFound},
		"404 before 415":                {"POST", "/v1/none", owner.key, "x", "text/plain", 404, api.ProblemCodeRouteNotFound},
		"405 before 401":                {"PUT", "/v1/emails", "", "x", "text/plain", 405, api.ProblemCodeMethodNotAllowed},
		"405 before a malformed id":     {"PUT", "/v1/emails/zzz", "", "x", "text/plain", 405, api.ProblemCodeMethodNotAllowed},
		"401 before 415":                {"POST", "/v1/emails", "", "x", "text/plain", 401, api.ProblemCodeUnauthorized},
		"401 before 413":                {"POST", "/v1/emails", "", large, "application/json", 401, api.ProblemCodeUnauthorized},
		"401 before a malformed id":     {"GET", "/v1/emails/zzz", "", nil, "", 401, api.ProblemCodeUnauthorized},
		"scope before organization":     {"GET", "/v1/domains", suspendedScopeless, nil, "", 403, api.ProblemCodeMissingScope},
		"scope before 415":              {"POST", "/v1/emails", scopeless, "x", "text/plain", 403, api.ProblemCodeMissingScope},
		"scope before a malformed id":   {"GET", "/v1/emails/zzz", scopeless, nil, "", 403, api.ProblemCodeMissingScope},
		"organization before 415":       {"POST", "/v1/emails", suspended.key, "x", "text/plain", 403, api.ProblemCodeOrganizationInactive},
		"organization before 413":       {"POST", "/v1/emails", suspended.key, large, "application/json", 403, api.ProblemCodeOrganizationInactive},
		"organization before 404":       {"GET", "/v1/emails/" + uuid.NewString(), suspended.key, nil, "", 403, api.ProblemCodeOrganizationInactive},
		"415 before 413":                {"POST", "/v1/emails", owner.key, large, "text/plain", 415, api.ProblemCodeUnsupportedMediaType},
		"413 before 400":                {"POST", "/v1/emails", owner.key, large, "application/json", 413, api.ProblemCodePayloadTooLarge},
		"400 shape before 409, domain":  {"POST", "/v1/domains", owner.key, taken, "application/json", 400, api.ProblemCodeValidationFailed},
		"400 shape before 409, key":     {"POST", "/v1/api-keys", owner.key, `{"name":"first","scopes":["x"]}`, "application/json", 400, api.ProblemCodeValidationFailed},
		"400 meaning before 409, key":   {"POST", "/v1/api-keys", owner.key, `{"name":"first","scopes":["emails:send"],"expiresAt":"2020-01-01T00:00:00Z"}`, "application/json", 400, api.ProblemCodeValidationFailed},
		"400 shape before 400 meaning":  {"POST", "/v1/emails", owner.key, email("a@none.example", "to", "not an address"), "application/json", 400, api.ProblemCodeValidationFailed},
		"400 meaning, all else is fine": {"POST", "/v1/emails", owner.key, email("a@none.example"), "application/json", 400, api.ProblemCodeDomainNotVerified},
	} {
		found := s.exchange(c.method, c.path, c.key, c.body, "Content-Type", c.contentType)
		if found.status != c.status || decoded[api.Problem](found).Code != c.code {
			t.Errorf("%s: %d %s", name, found.status, found.body)
		}
	}
}

func TestMeaningComesBeforePayment(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	sender, from := s.newSender()
	sender.setBilling(false, nil, 0, 40)
	sender.call(http.MethodPost, "/v1/emails", email("a@none.example")).
		problem(http.StatusBadRequest, api.ProblemCodeDomainNotVerified)
	sender.call(http.MethodPost, "/v1/emails", email(from)).
		problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)
}

func TestDrainingComesFirst(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.server.Drain()
	s.exchange(http.MethodGet, "/v1/none", "", nil).problem(http.StatusNotFound, api.ProblemCodeRouteNotFound)
	s.exchange(http.MethodPut, "/v1/emails", "", nil).problem(http.StatusMethodNotAllowed, api.ProblemCodeMethodNotAllowed)
	for _, op := range operations(t, secured) {
		answer := s.exchange(op.method, op.at("zzz"), "", "x", "Content-Type", "text/plain")
		answer.problem(http.StatusServiceUnavailable, api.ProblemCodeDraining)
		if answer.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", op.id)
		}
	}
}
