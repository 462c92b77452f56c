package contracttests

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
)

// under returns the header of an idempotency key.
func under(key string) []string { return []string{"Idempotency-Key", key} }

// holdKey makes a request under the key appear in progress, until it is released or the test ends.
func (t *tenant) holdKey(key string) (release func()) {
	t.t.Helper()
	connection, err := t.store.Pool().Acquire(context.Background())
	must(t.t, err)
	hash := sha256.Sum256(append(t.id[:], key...))
	lock := int64(binary.BigEndian.Uint64(hash[:]))
	_, err = connection.Exec(t.t.Context(), "SELECT pg_advisory_lock($1)", lock)
	must(t.t, err)
	release = sync.OnceFunc(func() {
		_, err := connection.Exec(context.Background(), "SELECT pg_advisory_unlock($1)", lock)
		must(t.t, err)
		connection.Release()
	})
	t.t.Cleanup(release)
	return release
}

// keptAnswers counts the saved responses.
func (t *tenant) keptAnswers() (kept int) {
	t.t.Helper()
	must(t.t, t.store.Pool().QueryRow(t.t.Context(),
		"SELECT count(*) FROM idempotency_keys WHERE organization_id = $1", t.id).Scan(&kept))
	return kept
}

// created counts everything that requests can create.
func (t *tenant) created() (found int) {
	t.t.Helper()
	must(t.t, t.store.Pool().QueryRow(t.t.Context(), `SELECT
		(SELECT count(*) FROM emails WHERE organization_id = $1) + (SELECT count(*) FROM domains WHERE organization_id = $1) +
		(SELECT count(*) FROM suppressions WHERE organization_id = $1) + (SELECT count(*) FROM templates WHERE organization_id = $1) +
		(SELECT count(*) FROM webhooks WHERE organization_id = $1) + (SELECT count(*) FROM deliveries WHERE organization_id = $1)`,
		t.id).Scan(&found))
	return found
}

// isReplayOf fails the test unless the response equals an earlier one, byte for byte.
func (a answer) isReplayOf(first answer) {
	a.t.Helper()
	if a.status != first.status || !bytes.Equal(a.body, first.body) || a.header.Get("Location") != first.header.Get("Location") ||
		a.header.Get("Content-Type") != first.header.Get("Content-Type") {
		a.t.Errorf("%d %v %s\nreplays %d %v %s", a.status, a.header, a.body, first.status, first.header, first.body)
	}
	if first.header.Get("Idempotent-Replayed") != "" || a.header.Get("Idempotent-Replayed") != "true" {
		a.t.Errorf("Idempotent-Replayed is %q, and then %q",
			first.header.Get("Idempotent-Replayed"), a.header.Get("Idempotent-Replayed"))
	}
}

// furnished returns a scene of a sender, without the parts that break a server.
func furnished(t testing.TB) (*scene, *tenant) {
	t.Helper()
	s := newStack(t)
	owner, from := s.newSender()
	w := newScene(t, s, owner.key, from, s.clock.now().Add(72*time.Hour))
	w.furnish()
	return w, owner
}

// TestIdempotencyKeys repeats every operation that takes a key, on the server that responded and on another.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	w, owner := furnished(t)
	other := newStack(t, options{store: w.server.store})
	for _, op := range operations(t, idempotent) {
		r := w.succeeding(op)
		r.headers = under(w.name())
		before := owner.created()
		first := w.ask(w.server, op, r, 0).is(successOf(op))
		if made := owner.created() - before; made != 1 {
			t.Fatalf("%s made %d", op.id, made)
		}
		for _, server := range []*stack{w.server, other} {
			w.ask(server, op, r, 0).isReplayOf(first)
			w.ask(server, op, w.another(op, r), 0).problem(http.StatusUnprocessableEntity, api.ProblemCodeIdempotencyKeyReused)
		}
		if made := owner.created() - before; made != 1 {
			t.Errorf("%s made %d with its repetitions", op.id, made)
		}
		// After a day the key is free, also for another request.
		for _, server := range []*stack{w.server, other} {
			server.clock.advance(24*time.Hour - time.Minute)
		}
		w.ask(other, op, r, 0).isReplayOf(first)
		for _, server := range []*stack{w.server, other} {
			server.clock.advance(2 * time.Minute)
		}
		r = w.succeeding(op)
		r.headers = under(strings.Join(r.headers, "") + w.name())
		fresh := w.ask(w.server, op, r, 0).is(successOf(op))
		if fresh.header.Get("Idempotent-Replayed") != "" || bytes.Equal(fresh.body, first.body) {
			t.Errorf("%s: after a day it is still %s", op.id, fresh.body)
		}
		for _, server := range []*stack{w.server, other} {
			server.clock.advance(-24*time.Hour - time.Minute)
		}
	}
}

// TestExpiredIdempotencyKey uses a key for another request after its response has expired, before and after the
// response was deleted.
func TestExpiredIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	for _, subject := range []string{"one", "two", "three"} {
		owner.sends(1, 1, singlePath, email(from, "subject", subject), under("daily")...).is(http.StatusAccepted)
		s.clock.advance(24*time.Hour - time.Minute)
		must(t, s.mailer.Retention.DeleteExpiredIdempotencyKeys(t.Context()))
		owner.refused(singlePath, email(from), under("daily")...).problem(http.StatusUnprocessableEntity, api.ProblemCodeIdempotencyKeyReused)
		s.clock.advance(2 * time.Minute)
		if subject == "two" {
			must(t, s.mailer.Retention.DeleteExpiredIdempotencyKeys(t.Context()))
			if kept := owner.keptAnswers(); kept != 0 {
				t.Errorf("%d answers are kept for more than a day", kept)
			}
		}
	}
}

// TestIdempotencyKeyInFlight repeats a request while the first is in progress, and after the first has given up.
func TestIdempotencyKeyInFlight(t *testing.T) {
	t.Parallel()
	w, owner := furnished(t)
	for _, op := range operations(t, idempotent) {
		r := w.succeeding(op)
		r.headers = under(w.name())
		release := owner.holdKey(r.headers[1])
		before := owner.created()
		waiting := w.ask(w.server, op, r, 0)
		waiting.problem(http.StatusConflict, api.ProblemCodeIdempotencyInProgress)
		if waiting.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After is %q", op.id, waiting.header.Get("Retry-After"))
		}
		if made := owner.created() - before; made != 0 {
			t.Errorf("%s made %d", op.id, made)
		}
		release()
		w.ask(w.server, op, r, 0).is(successOf(op))
	}
}

// TestIdempotencyKeyIsBounded refuses keys that the spec does not allow.
func TestIdempotencyKeyIsBounded(t *testing.T) {
	t.Parallel()
	w, _ := furnished(t)
	for _, op := range operations(t, idempotent) {
		for _, good := range []string{"x", strings.Repeat("k", 255), `"quoted"`, "a,b;c=d", "%00", "{}[]~!"} {
			r := w.succeeding(op)
			r.headers = under(good)
			if op.id == "sendEmail" {
				w.ask(w.server, op, r, 0).is(successOf(op))
			}
		}
		for _, bad := range [][]string{
			{""}, {strings.Repeat("k", 256)}, {"two words"}, {"tab\there"}, {"é"}, {"\xff"}, {"one", "two"}, {"same", "same"}, {"", "x"},
		} {
			r := w.succeeding(op)
			request, err := http.NewRequestWithContext(t.Context(), op.method, w.server.url+op.at(r.id), reader(t, r.body))
			must(t, err)
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+w.key)
			request.Header["Idempotency-Key"] = bad
			if came := w.server.do(request); came.status != http.StatusBadRequest {
				t.Errorf("%s takes the keys %q: %d %s", op.id, bad, came.status, came.body)
			}
		}
	}
}

// TestIdempotencyKeyComesAfterAdmission checks the order: a caller without permission gets no replay.
func TestIdempotencyKeyComesAfterAdmission(t *testing.T) {
	t.Parallel()
	w, owner := furnished(t)
	stranger := w.server.newTenant()
	for _, op := range operations(t, idempotent) {
		r := w.succeeding(op)
		r.headers = under(w.name())
		first := w.ask(w.server, op, r, 0).is(successOf(op))
		as := func(key string) answer {
			changed := r
			changed.key = key
			return w.ask(w.server, op, changed, 0)
		}
		_, lacking := owner.insertKey(w.name(), without(op.scopes), nil)
		as(lacking).problem(http.StatusForbidden, api.ProblemCodeMissingScope)
		revokedID, revoked := owner.insertKey(w.name(), op.scopes, nil)
		as(revoked).isReplayOf(first)
		owner.call(http.MethodDelete, keysPath+"/"+revokedID.String(), nil).is(http.StatusNoContent)
		as(revoked).problem(http.StatusUnauthorized, api.ProblemCodeUnauthorized)
		if came := as(stranger.key); came.header.Get("Idempotent-Replayed") != "" || bytes.Equal(came.body, first.body) {
			t.Errorf("%s: another organization gets %s", op.id, came.body)
		}
		if withBody(op) {
			malformed := r
			malformed.body = `{"sujbect":1}`
			w.ask(w.server, op, malformed, 0).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		}
	}
	owner.suspend()
	for _, op := range operations(t, idempotent) {
		r := w.succeeding(op)
		r.headers = under("contract")
		w.ask(w.server, op, r, 0).problem(http.StatusForbidden, api.ProblemCodeOrganizationInactive)
	}
}

// TestIdempotencyKeyComesBeforeMeaning replays a response whatever has changed since.
func TestIdempotencyKeyComesBeforeMeaning(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	domain, template := values{"domain": "once.example"}, newTemplate("once")
	hook := values{"url": "https://webhooks.invalid/", "events": []string{"domain.failed"}}
	single, batch := email(from, "to", "once@example.com"), batchOf(email(from, "to", "once@example.com"), email("a@unverified.example"))
	requests := map[string]any{
		singlePath: single, batchPath: batch, domainsPath: domain, templatesPath: template, webhooksPath: hook,
		suppressionsPath: suppressing("former@example.com"),
	}
	ask := func(path string) answer {
		return owner.call(http.MethodPost, path, requests[path], under("key of " + path)[0], "key-of-"+path)
	}
	first := map[string]answer{}
	for path := range requests {
		first[path] = ask(path)
	}
	hookID := decoded[api.WebhookWithSecret](first[webhooksPath]).ID
	testPath := webhooksPath + "/" + hookID.String() + "/test"
	requests[testPath] = nil
	first[testPath] = ask(testPath).is(http.StatusAccepted)

	owner.suppress("once@example.com")
	none := int64(0)
	owner.setBilling(false, &none, 0, 40)
	owner.execute("DELETE FROM domains WHERE organization_id = $1 AND name <> 'once.example'", owner.id)
	owner.call(http.MethodDelete, webhooksPath+"/"+hookID.String(), nil).is(http.StatusNoContent)
	for path, answered := range first {
		if answered.status >= 300 {
			t.Fatalf("%s: %d %s", path, answered.status, answered.body)
		}
		ask(path).isReplayOf(answered)
	}
	// Without a key, or under another one, these changes matter.
	owner.refused(singlePath, single).problem(http.StatusBadRequest, api.ProblemCodeDomainNotVerified)
	owner.call(http.MethodPost, domainsPath, domain, under("other")...).problem(http.StatusConflict, api.ProblemCodeDomainExists)
	owner.call(http.MethodPost, templatesPath, template, under("other")...).problem(http.StatusConflict, api.ProblemCodeTemplateNameExists)
	owner.call(http.MethodPost, testPath, nil, under("other")...).problem(http.StatusNotFound, api.ProblemCodeNotFound)
}
