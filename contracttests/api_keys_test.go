package contracttests

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/rest"
)

const keysPath = "/v1/api-keys"

// newKey is a request for a valid key, with members changed, added or (nil) null.
func newKey(name string, changes ...any) map[string]any {
	request := map[string]any{"name": name, "scopes": []string{"api-keys:read"}}
	for i := 0; i+1 < len(changes); i += 2 {
		request[changes[i].(string)] = changes[i+1]
	}
	return request
}

func (t *tenant) createKey(request map[string]any) api.CreatedAPIKey {
	t.t.Helper()
	return decoded[api.CreatedAPIKey](t.call(http.MethodPost, keysPath, request).is(http.StatusCreated))
}

// keys returns the keys by name.
func (t *tenant) keys() map[string]api.APIKey {
	t.t.Helper()
	byName := map[string]api.APIKey{}
	for _, key := range decoded[api.APIKeyList](t.call(http.MethodGet, keysPath, nil).is(http.StatusOK)) {
		byName[key.Name] = key
	}
	return byName
}

func TestAPIKeyIsShownOnceAndWorks(t *testing.T) {
	t.Parallel()
	owner := newStack(t).newTenant()
	expires := owner.clock.now().Add(time.Hour).Truncate(time.Second)
	answer := owner.call(http.MethodPost, keysPath, newKey("Production", "scopes", []string{"api-keys:read", "emails:send"}, "expiresAt", expires))
	created := decoded[api.CreatedAPIKey](answer.is(http.StatusCreated))
	parsed, err := apikey.Parse(created.FullKey)
	must(t, err)
	key := created.Key
	if location := answer.header.Get("Location"); location != keysPath+"/"+key.ID.String() {
		t.Errorf("Location is %q", location)
	}
	if key.Name != "Production" || key.KeyPrefix != parsed.Prefix || key.MaskedKey != "ms_live_"+parsed.Prefix+"_••••" || !key.IsActive ||
		key.RevokedAt != nil || key.LastUsedAt != nil || key.ExpiresAt == nil || !key.ExpiresAt.Equal(expires) || key.ID.Version() != 7 ||
		!slices.Equal(key.Scopes, []api.Scope{"api-keys:read", "emails:send"}) || owner.clock.now().Sub(key.CreatedAt.Time).Abs() > time.Minute {
		t.Errorf("created %+v", key)
	}
	list := owner.exchange(http.MethodGet, keysPath, created.FullKey, nil).is(http.StatusOK)
	if strings.Contains(string(list.body), parsed.Secret) || strings.Contains(string(list.body), "fullKey") {
		t.Error("the list shows the secret")
	}
	listed := decoded[api.APIKeyList](list)
	if len(listed) != 2 || listed[0].ID != key.ID || listed[1].ID != owner.keyID {
		t.Errorf("listed %+v, want the newest first", listed)
	}
	var secrets int
	must(t, owner.store.Pool().QueryRow(t.Context(),
		"SELECT count(*) FROM api_keys WHERE api_keys::text LIKE '%' || $1 || '%'", parsed.Secret).Scan(&secrets))
	if secrets != 0 {
		t.Error("the secret is stored")
	}
}

func TestAPIKeyRequests(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	now := s.clock.now()
	for what, c := range map[string]struct {
		request any
		pointer string
	}{
		"no name":               {map[string]any{"scopes": []string{"emails:send"}}, "/name"},
		"no scopes":             {map[string]any{"name": "a"}, "/scopes"},
		"null name":             {newKey("a", "name", nil), "/name"},
		"number for a name":     {newKey("a", "name", 1), "/name"},
		"empty name":            {newKey(""), "/name"},
		"blank name":            {newKey(" \u00a0\u3000 "), "/name"},
		"101 characters":        {newKey(strings.Repeat("é", 101)), "/name"},
		"NUL":                   {newKey("a\x00b"), "/name"},
		"line break":            {newKey("a\nb"), "/name"},
		"delete":                {newKey("a\x7f"), "/name"},
		"null scopes":           {newKey("a", "scopes", nil), "/scopes"},
		"no scope":              {newKey("a", "scopes", []string{}), "/scopes"},
		"scopes in a string":    {newKey("a", "scopes", "emails:send"), "/scopes"},
		"unknown scope":         {newKey("a", "scopes", []string{"emails:send", "emails:delete"}), "/scopes/1"},
		"scope in another case": {newKey("a", "scopes", []string{"Emails:send"}), "/scopes/0"},
		"scope twice":           {newKey("a", "scopes", []string{"emails:send", "emails:send"}), "/scopes"},
		"null for a scope":      {newKey("a", "scopes", []any{nil}), "/scopes/0"},
		"member in other case":  {newKey("a", "Name", "b"), "/Name"},
		"unknown member":        {newKey("a", "isActive", true), "/isActive"},
		"expired":               {newKey("a", "expiresAt", now.Add(-time.Second)), "/expiresAt"},
		"expires just now":      {newKey("a", "expiresAt", now.Truncate(time.Second)), "/expiresAt"},
		"a date":                {newKey("a", "expiresAt", "2099-01-01"), "/expiresAt"},
		"no date":               {newKey("a", "expiresAt", "2099-02-30T00:00:00Z"), "/expiresAt"},
		"no zone":               {newKey("a", "expiresAt", "2099-01-01T00:00:00"), "/expiresAt"},
		"comma in a second":     {newKey("a", "expiresAt", "2099-01-01T00:00:00,5Z"), "/expiresAt"},
		"hour of one digit":     {newKey("a", "expiresAt", "2099-01-01T0:00:00Z"), "/expiresAt"},
		"zone of 24 hours":      {newKey("a", "expiresAt", "2099-01-01T00:00:00+24:00"), "/expiresAt"},
		"minute 60 of a zone":   {newKey("a", "expiresAt", "2099-01-01T00:00:00+01:60"), "/expiresAt"},
		"year 10000 in UTC":     {newKey("a", "expiresAt", "9999-12-31T23:59:59-14:00"), "/expiresAt"},
		"leap second":           {newKey("a", "expiresAt", "2099-12-31T23:59:60Z"), "/expiresAt"},
		"number for a date":     {newKey("a", "expiresAt", 4070908800), "/expiresAt"},
	} {
		found := owner.call(http.MethodPost, keysPath, c.request).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		if !slices.Contains(pointers(found), c.pointer) {
			t.Errorf("%s: pointers %q, want %q", what, pointers(found), c.pointer)
		}
	}
	if keys := owner.keys(); len(keys) != 1 {
		t.Errorf("refused requests left %d keys", len(keys)-1)
	}
	for what, request := range map[string]map[string]any{
		"one character":  newKey("a"),
		"100 characters": newKey(strings.Repeat("é", 100)),
		"markup":         newKey(`<b>"quoted"</b> 📮`),
		"null expiry":    newKey("b", "expiresAt", nil),
		"another zone":   newKey("c", "expiresAt", "2099-01-01T00:00:00+05:00"),
		"far future":     newKey("d", "expiresAt", "9999-12-31T23:59:59Z"),
		"every scope":    newKey("e", "scopes", apikey.Scopes()),
	} {
		created := owner.createKey(request)
		if created.Key.Name != request["name"] || owner.keys()[created.Key.Name].ID != created.Key.ID {
			t.Errorf("%s: created %+v", what, created.Key)
		}
	}
}

func TestAPIKeyExceedsNotItsCreator(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	expires := s.clock.now().Add(time.Hour).Truncate(time.Second)
	_, creator := owner.insertKey("creator", []string{"api-keys:write", "emails:send"}, &expires)
	for what, c := range map[string]struct {
		scopes  []string
		expires any
		detail  string
	}{
		"another scope":         {[]string{"emails:send", "domains:write"}, expires, "domains:write"},
		"a wider scope":         {[]string{"emails:read"}, expires, "emails:read"},
		"never expiring":        {[]string{"emails:send"}, nil, "outlive"},
		"a second longer":       {[]string{"emails:send"}, expires.Add(time.Second), "outlive"},
		"a second, other zones": {[]string{"emails:send"}, expires.Add(time.Second).In(time.FixedZone("west", -8*3600)), "outlive"},
	} {
		found := s.exchange(http.MethodPost, keysPath, creator, newKey(what, "scopes", c.scopes, "expiresAt", c.expires)).
			problem(http.StatusForbidden, api.ProblemCodeKeyExceedsCreator)
		if !strings.Contains(found.Detail, c.detail) {
			t.Errorf("%s: detail %q does not name %s", what, found.Detail, c.detail)
		}
	}
	s.exchange(http.MethodPost, keysPath, creator, newKey("equal", "scopes", []string{"emails:send", "api-keys:write"}, "expiresAt", expires)).
		is(http.StatusCreated)
	if keys := owner.keys(); len(keys) != 3 {
		t.Errorf("keys: %+v", keys)
	}
}

func TestAPIKeyExpires(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	created := owner.createKey(newKey("short", "expiresAt", s.clock.now().Add(time.Hour)))
	s.exchange(http.MethodGet, keysPath, created.FullKey, nil).is(http.StatusOK)
	s.clock.advance(time.Hour + time.Second)
	s.exchange(http.MethodGet, keysPath, created.FullKey, nil).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
	if listed := owner.keys()["short"]; listed.IsActive || listed.RevokedAt != nil {
		t.Errorf("an expired key is listed as %+v", listed)
	}
	// The expired key still holds its name.
	owner.call(http.MethodPost, keysPath, newKey("short")).problem(http.StatusConflict, api.ProblemCodeKeyNameExists)
}

func TestAPIKeyNames(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, other := s.newTenant(), s.newTenant()
	first := owner.createKey(newKey("Production"))
	owner.call(http.MethodPost, keysPath, newKey("Production")).problem(http.StatusConflict, api.ProblemCodeKeyNameExists)
	owner.createKey(newKey("production"))
	other.createKey(newKey("Production"))
	for range 2 {
		owner.call(http.MethodDelete, keysPath+"/"+first.Key.ID.String(), nil).is(http.StatusNoContent)
	}
	owner.createKey(newKey("Production"))
	owner.call(http.MethodPost, keysPath, newKey("Production")).problem(http.StatusConflict, api.ProblemCodeKeyNameExists)

	statuses := concurrently(20, func(int) int { return owner.call(http.MethodPost, keysPath, newKey("raced")).status })
	if statuses[http.StatusCreated] != 1 || statuses[http.StatusConflict] != 19 {
		t.Errorf("20 at once for one name: %v", statuses)
	}
}

// concurrently runs calls at once and counts their results.
func concurrently(calls int, call func(i int) int) map[int]int {
	var group sync.WaitGroup
	results := make([]int, calls)
	for i := range calls {
		group.Go(func() { results[i] = call(i) })
	}
	group.Wait()
	counts := map[int]int{}
	for _, result := range results {
		counts[result]++
	}
	return counts
}

func TestAPIKeyLimit(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	second := newStack(t, options{store: s.store})
	owner := s.newTenant()
	revoked := owner.createKey(newKey("revoked"))
	owner.call(http.MethodDelete, keysPath+"/"+revoked.Key.ID.String(), nil).is(http.StatusNoContent)
	for i := range 89 {
		owner.insertKey(fmt.Sprint("filler ", i), []string{"emails:send"}, nil)
	}
	statuses := concurrently(30, func(i int) int {
		server := []*stack{s, second}[i%2]
		answer := server.exchange(http.MethodPost, keysPath, owner.key, newKey(fmt.Sprint("raced ", i)))
		if answer.status == http.StatusConflict && decoded[api.Problem](answer).Code != api.ProblemCodeKeyLimitReached {
			t.Errorf("%s", answer.body)
		}
		return answer.status
	})
	if statuses[http.StatusCreated] != 10 || statuses[http.StatusConflict] != 20 {
		t.Errorf("30 at once with room for 10: %v", statuses)
	}
	owner.call(http.MethodPost, keysPath, newKey("one more")).problem(http.StatusConflict, api.ProblemCodeKeyLimitReached)
	owner.call(http.MethodDelete, keysPath+"/"+owner.keys()["filler 0"].ID.String(), nil).is(http.StatusNoContent)
	owner.createKey(newKey("one more"))
}

func TestRevokingAPIKey(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	second := newStack(t, options{store: s.store})
	owner, from := s.newSender()
	created := owner.createKey(newKey("leaked", "scopes", []string{"api-keys:read", "emails:send"}))
	id := keysPath + "/" + created.Key.ID.String()
	for _, server := range []*stack{s, second} {
		server.exchange(http.MethodPost, "/v1/emails", created.FullKey, email(from)).is(http.StatusAccepted)
	}
	s.newTenant().call(http.MethodDelete, id, nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	if gone := owner.call(http.MethodDelete, id, nil).is(http.StatusNoContent); len(gone.body) != 0 {
		t.Errorf("204 came with %q", gone.body)
	}
	for _, server := range []*stack{second, s} {
		server.exchange(http.MethodPost, "/v1/emails", created.FullKey, email(from)).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
		server.exchange(http.MethodGet, keysPath, created.FullKey, nil).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
	}
	before := owner.keys()["leaked"]
	if before.IsActive || before.RevokedAt == nil || s.clock.now().Sub(before.RevokedAt.Time).Abs() > time.Minute {
		t.Errorf("a revoked key is listed as %+v", before)
	}
	s.clock.advance(time.Hour)
	owner.call(http.MethodDelete, id, nil).is(http.StatusNoContent)
	if again := owner.keys()["leaked"]; !again.RevokedAt.Equal(before.RevokedAt.Time) {
		t.Errorf("revoking again moved the time from %v to %v", before.RevokedAt, again.RevokedAt)
	}
	if sent := owner.usage().EmailsSent; sent != 2 {
		t.Errorf("%d emails were accepted", sent)
	}
	owner.call(http.MethodDelete, keysPath+"/"+uuid.NewString(), nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	s.clock.advance(90*24*time.Hour - 2*time.Hour)
	if _, listed := owner.keys()["leaked"]; !listed {
		t.Error("a revoked key left the list before 90 days")
	}
	s.clock.advance(2 * time.Hour)
	if _, listed := owner.keys()["leaked"]; listed {
		t.Error("a revoked key is listed after 90 days")
	}
	owner.call(http.MethodDelete, id, nil).is(http.StatusNoContent)
}

// However many keys were revoked, the list holds the unrevoked ones and the last hundred of the others.
func TestAPIKeyListIsBounded(t *testing.T) {
	t.Parallel()
	owner := newStack(t).newTenant()
	earliest, _ := owner.insertKey("earliest", []string{"emails:send"}, nil)
	owner.execute("UPDATE api_keys SET revoked_at = $2 WHERE id = $1", earliest, owner.clock.now().Add(-2*time.Hour))
	owner.execute(`INSERT INTO api_keys (id, organization_id, name, prefix, secret_hash, scopes, created_at, revoked_at)
		SELECT gen_random_uuid(), $1, 'revoked ' || n, 'p' || n, sha256(n::text::bytea), '{emails:send}', $2::timestamptz, $2::timestamptz + n * interval '1 second'
		FROM generate_series(1, 300) AS n`, owner.id, owner.clock.now().Add(-time.Hour))
	listed := owner.keys()
	if len(listed) != 101 || !listed["revoked 300"].RevokedAt.After(listed["revoked 201"].RevokedAt.Time) {
		t.Errorf("%d keys are listed", len(listed))
	}
	if _, found := listed["earliest"]; found {
		t.Error("a key that was revoked before a hundred others is listed")
	}
	left := decoded[api.APIKey](owner.call(http.MethodGet, keysPath+"/"+earliest.String(), nil).is(http.StatusOK))
	if left.Name != "earliest" || left.IsActive {
		t.Errorf("a key that is left out is read as %+v", left)
	}
	unrevoked := decoded[api.APIKeyList](owner.call(http.MethodGet, keysPath+"?includeRevoked=false", nil).is(http.StatusOK))
	if len(unrevoked) != 1 || unrevoked[0].ID != owner.keyID {
		t.Errorf("without revoked keys: %+v", unrevoked)
	}
	all := decoded[api.APIKeyList](owner.call(http.MethodGet, keysPath+"?includeRevoked=true", nil).is(http.StatusOK))
	if len(all) != 101 {
		t.Errorf("with revoked keys: %d", len(all))
	}
}

// A prefix that is taken is drawn again.
func TestAPIKeyPrefixIsTaken(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	server, err := rest.New(rest.Config{
		Spec: prepared(t), Store: s.store, Domains: s.domains, Now: s.clock.now, NewID: uuid.New, Log: slog.New(slog.DiscardHandler),
		// A key takes 40 bytes: the second and third key equal the first.
		Random: io.MultiReader(strings.NewReader(strings.Repeat("A", 3*40)), rand.Reader),
	})
	must(t, err)
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	owner.stack = owner.in(t).stack
	owner.url = listener.URL
	first, second := owner.createKey(newKey("first of its prefix")), owner.createKey(newKey("second of its prefix"))
	if first.Key.KeyPrefix == second.Key.KeyPrefix || len(owner.keys()) != 3 {
		t.Errorf("prefixes %s and %s, keys %+v", first.Key.KeyPrefix, second.Key.KeyPrefix, owner.keys())
	}
}

// A key may revoke itself, with its last request.
func TestAPIKeyRevokesItself(t *testing.T) {
	t.Parallel()
	owner := newStack(t).newTenant()
	owner.call(http.MethodDelete, keysPath+"/"+owner.keyID.String(), nil).is(http.StatusNoContent)
	owner.call(http.MethodDelete, keysPath+"/"+owner.keyID.String(), nil).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
}

func TestLastUsedCostsNoWrite(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	created := owner.createKey(newKey("used"))
	version := func() (version string) {
		must(t, s.store.Pool().QueryRow(t.Context(), "SELECT xmin::text FROM api_keys WHERE id = $1", created.Key.ID).Scan(&version))
		return version
	}
	before := version()
	for range 20 {
		s.exchange(http.MethodGet, keysPath, created.FullKey, nil).is(http.StatusOK)
	}
	if version() != before {
		t.Error("a request wrote the row of its key")
	}
	// A wrong secret does not count as use of the key.
	s.exchange(http.MethodGet, keysPath, created.FullKey[:len(created.FullKey)-4]+"AAAA", nil).is(http.StatusUnauthorized)
	must(t, s.server.FlushLastUsed(t.Context()))
	used := owner.keys()["used"].LastUsedAt
	if used == nil || s.clock.now().Sub(used.Time).Abs() > time.Minute {
		t.Fatalf("lastUsedAt is %v", used)
	}
	after := version()
	must(t, s.server.FlushLastUsed(t.Context()))
	if version() != after {
		t.Error("what was written down is written again")
	}
	s.clock.advance(time.Hour)
	s.exchange(http.MethodGet, keysPath, created.FullKey, nil).is(http.StatusOK)
	must(t, s.server.FlushLastUsed(t.Context()))
	if later := owner.keys()["used"].LastUsedAt; later.Sub(used.Time) < 59*time.Minute {
		t.Errorf("lastUsedAt stays at %v", later)
	}
}
