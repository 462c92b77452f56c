package contracttests

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// TestOnlySuccessIsKept corrects a refused request under the same key.
func TestOnlySuccessIsKept(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	owner.suppress("gone@example.com")
	owner.refused(singlePath, `{`, under("one")...).problem(http.StatusBadRequest, api.ProblemCodeMalformedJSON)
	owner.refused(singlePath, email(from, "to", "gone@example.com"), under("one")...).problem(http.StatusBadRequest, api.ProblemCodeRecipientSuppressed)
	owner.refused(singlePath, email("a@unverified.example"), under("one")...).problem(http.StatusBadRequest, api.ProblemCodeDomainNotVerified)
	owner.refused(singlePath, email(from, "templateId", uuid.New()), under("one")...).problem(http.StatusBadRequest, api.ProblemCodeTemplateNotPublished)
	owner.setBilling(false, nil, 0, 40)
	owner.refused(singlePath, email(from), under("one")...).problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)
	owner.refused(batchPath, batchOf(email(from)), under("many")...).problem(http.StatusPaymentRequired, api.ProblemCodeFreeTierExhausted)
	if kept := owner.keptAnswers(); kept != 0 {
		t.Errorf("%d refusals are kept", kept)
	}
	owner.setBilling(false, nil, 100, 40)
	owner.execute("DELETE FROM usage_periods WHERE organization_id = $1", owner.id)
	owner.sends(1, 1, singlePath, email(from), under("one")...).is(http.StatusAccepted)
	owner.sends(1, 1, batchPath, batchOf(email(from)), under("many")...).is(http.StatusAccepted)

	name := newTemplate("taken")
	owner.call(http.MethodPost, templatesPath, name).is(http.StatusCreated)
	owner.call(http.MethodPost, templatesPath, name, under("template")...).problem(http.StatusConflict, api.ProblemCodeTemplateNameExists)
	owner.call(http.MethodPost, templatesPath, newTemplate("free"), under("template")...).is(http.StatusCreated)
	if kept := owner.keptAnswers(); kept != 3 {
		t.Errorf("%d answers are kept, want 3", kept)
	}
}

// TestRejectedBatchIsKept: a batch without any queued item gets a 202, and so does its repetition.
func TestRejectedBatchIsKept(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	owner.suppress("gone@example.com")
	for key, batch := range map[string]any{
		"schema":     map[string]any{"emails": []any{values{}, 5}},
		"suppressed": batchOf(email(from, "to", "gone@example.com")),
		"both":       batchOf(email(from, "to", "gone@example.com"), values{}),
	} {
		first := owner.refused(batchPath, batch, under(key)...).is(http.StatusAccepted)
		owner.execute("DELETE FROM suppressions WHERE organization_id = $1", owner.id)
		owner.refused(batchPath, batch, under(key)...).isReplayOf(first)
		owner.suppress("gone@example.com")
	}
}

// TestSecretIsKeptSealed looks for a webhook's secret in the saved response.
func TestSecretIsKeptSealed(t *testing.T) {
	t.Parallel()
	owner := newStack(t).newTenant()
	request := values{"url": "https://webhooks.invalid/", "events": []string{"domain.failed"}}
	first := owner.call(http.MethodPost, webhooksPath, request, under("hook")...).is(http.StatusCreated)
	owner.call(http.MethodPost, webhooksPath, request, under("hook")...).isReplayOf(first)
	secret := decoded[api.WebhookWithSecret](first).SigningSecret
	var body []byte
	must(t, owner.store.Pool().QueryRow(t.Context(), "SELECT body FROM idempotency_keys WHERE organization_id = $1", owner.id).Scan(&body))
	if len(secret) < 20 || bytes.Contains(body, []byte(secret)) || bytes.Contains(body, []byte("webhooks.invalid")) {
		t.Errorf("%q is kept as %q", secret, body)
	}
}

// TestNothingIsKeptOfWhatFails breaks the transaction at its end: neither the work nor the response is saved.
func TestNothingIsKeptOfWhatFails(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	owner.execute("ALTER TABLE idempotency_keys RENAME TO gone")
	before := owner.created()
	// Without a key, the table is not read.
	owner.sends(1, 1, singlePath, email(from)).is(http.StatusAccepted)
	owner.execute("ALTER TABLE gone RENAME TO idempotency_keys")
	// The response is written last, after the work.
	owner.execute(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'the database is shutting down' USING ERRCODE = '57P01'; END $$`)
	owner.execute("CREATE TRIGGER refuse BEFORE INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION refuse()")
	for path, body := range map[string]any{
		singlePath: email(from), batchPath: batchOf(email(from)), templatesPath: newTemplate("failing"),
		domainsPath: values{"domain": "failing.example"}, suppressionsPath: suppressing("failing@example.com"),
	} {
		owner.call(http.MethodPost, path, body, under("key")...).problem(http.StatusServiceUnavailable, api.ProblemCodeDependencyUnavailable)
	}
	if made := owner.created() - before; made != 1 || owner.keptAnswers() != 0 {
		t.Errorf("%d rows were made and %d answers kept", made, owner.keptAnswers())
	}
	owner.execute("DROP TRIGGER refuse ON idempotency_keys")
	owner.sends(1, 1, singlePath, email(from), under("key")...).is(http.StatusAccepted)
}
