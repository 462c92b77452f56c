package contracttests

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/webhook"
)

const webhooksPath = "/v1/webhooks"

// webhookPolicy lets webhooks reach receivers on this machine, with TLS.
func webhookPolicy(t testing.TB) webhook.Policy {
	t.Helper()
	prefixes, err := webhook.ParsePrefixes("127.0.0.0/8, ::1/128")
	must(t, err)
	return webhook.Policy{Prefixes: prefixes}
}

// testRoots are the authorities that sign the certificates of httptest.
func testRoots(t testing.TB) *x509.CertPool {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return roots
}

// delivered is what came to a receiver.
type delivered struct {
	header http.Header
	body   []byte
}

func (d delivered) id() string { return d.header.Get("webhook-id") }

// receiver is an endpoint of a customer.
type receiver struct {
	url string

	mutex    sync.Mutex
	received []delivered
	status   int
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusNoContent}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.received = append(r.received, delivered{request.Header.Clone(), body})
		if r.status >= http.StatusBadRequest {
			http.Error(w, "database is down", r.status)
			return
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook?from=mailstack"
	return r
}

func (r *receiver) answer(status int) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.status = status
}

func (r *receiver) all() []delivered {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.received)
}

// await waits until so many deliveries came, and returns them.
func (r *receiver) await(t testing.TB, n int) []delivered {
	t.Helper()
	eventually(t, fmt.Sprintf("%d deliveries came", n), func() bool { return len(r.all()) >= n })
	return r.all()
}

// createWebhook creates a webhook.
func (t *tenant) createWebhook(url string, events ...string) api.WebhookWithSecret {
	t.t.Helper()
	return decoded[api.WebhookWithSecret](t.call(http.MethodPost, webhooksPath, map[string]any{"url": url, "events": events}).is(http.StatusCreated))
}

func (t *tenant) webhookAt(id uuid.UUID) api.Webhook {
	t.t.Helper()
	return decoded[api.Webhook](t.call(http.MethodGet, webhooksPath+"/"+id.String(), nil).is(http.StatusOK))
}

func (t *tenant) deliveries(id uuid.UUID) []api.WebhookDelivery {
	t.t.Helper()
	return decoded[api.WebhookDeliveryList](t.call(http.MethodGet, webhooksPath+"/"+id.String()+"/deliveries", nil).is(http.StatusOK)).Data
}

// accepts holds a delivery against the public verifier of Standard Webhooks, and against the schema of the callback.
func accepts(t testing.TB, secret string, one delivered) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	must(t, err)
	if err := verifier.Verify(one.body, one.header); err != nil {
		t.Errorf("the public verifier refuses: %v", err)
	}
	var event map[string]any
	must(t, json.Unmarshal(one.body, &event))
	if event["id"] != one.id() {
		t.Errorf("webhook-id is %s, the event %v", one.id(), event["id"])
	}
	callback := document(t).Paths.Find(webhooksPath).Post.Callbacks["event"].Value.Value("{$request.body#/url}").Post
	if err := callback.RequestBody.Value.Content.Get("application/json").Schema.Value.VisitJSON(event, openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
		t.Errorf("the event breaks its schema: %v\n%s", err, one.body)
	}
	for _, parameter := range callback.Parameters {
		if err := parameter.Value.Schema.Value.VisitJSON(one.header.Get(parameter.Value.Name)); err != nil {
			t.Errorf("header %s: %v", parameter.Value.Name, err)
		}
	}
	if one.header.Get("Content-Type") != "application/json" || !strings.HasPrefix(one.header.Get("User-Agent"), "MailStack") {
		t.Errorf("came with %v", one.header)
	}
}

func TestWebhookIsToldOfAMessage(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	owner, from := s.newSender()
	endpoint, other := newReceiver(t), newReceiver(t)
	created := owner.createWebhook(endpoint.url, "email.sent", "domain.verified")
	owner.createWebhook(other.url, "email.bounced")
	s.newTenant().createWebhook(other.url, "email.sent", "email.failed", "domain.verified")
	id := owner.send(email(from, "subject", `"Ünï" {}`, "tags", "a,b"))
	came := endpoint.await(t, 1)
	accepts(t, created.SigningSecret, came[0])
	var event api.WebhookEmailEvent
	must(t, json.Unmarshal(came[0].body, &event))
	if event.Type != "email.sent" || event.Data.ID != id || event.Data.ToEmail != "user@example.com" || event.Data.Status != "Sent" ||
		event.Data.Subject != `"Ünï" {}` || *event.Data.Tags != "a,b" || event.Data.ErrorMessage != nil ||
		*event.Data.ProviderMessageID != *owner.read(id).ProviderMessageID {
		t.Errorf("was told %s", came[0].body)
	}
	eventually(t, "the delivery is settled", func() bool {
		return owner.deliveries(created.ID)[0].State == api.WebhookDeliveryStateDelivered
	})
	listed := owner.deliveries(created.ID)
	attempt := listed[0].Attempts[0]
	if len(listed) != 1 || listed[0].EventID != event.ID || listed[0].EventType != "email.sent" || listed[0].NextAttemptAt != nil ||
		listed[0].FinishedAt == nil || attempt.Attempt != 1 || *attempt.StatusCode != http.StatusNoContent || attempt.Error != nil {
		t.Errorf("listed as %+v", listed)
	}
	// Whoever subscribes later, or to something else, is told nothing of it.
	owner.verified("more.test")
	verified := endpoint.await(t, 2)[1]
	accepts(t, created.SigningSecret, verified)
	var domain api.WebhookDomainEvent
	must(t, json.Unmarshal(verified.body, &domain))
	if domain.Type != "domain.verified" || domain.Data.Domain != "more.test" || domain.Data.Status != "Verified" {
		t.Errorf("was told %s", verified.body)
	}
	if got := other.all(); len(got) != 0 {
		t.Errorf("others were told %s", got[0].body)
	}
}

func TestWebhookIsToldOfAFailure(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	endpoint := newReceiver(t)
	created := owner.createWebhook(endpoint.url, "email.failed")
	id := owner.send(email(from))
	s.clock.advance(73 * time.Hour)
	for range 3 {
		_, err := s.mailer.RunOnce(t.Context())
		must(t, err)
	}
	came := endpoint.await(t, 1)
	accepts(t, created.SigningSecret, came[0])
	var event api.WebhookEmailEvent
	must(t, json.Unmarshal(came[0].body, &event))
	if event.Data.ID != id || event.Data.Status != "Failed" || event.Data.ErrorMessage == nil || *event.Data.ErrorMessage != *owner.read(id).ErrorMessage {
		t.Errorf("was told %s", came[0].body)
	}
}

func TestWebhookIsTestedAndReplayed(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	owner := s.newTenant()
	endpoint := newReceiver(t)
	created := owner.createWebhook(endpoint.url, "email.bounced")
	path := webhooksPath + "/" + created.ID.String()
	queued := decoded[api.WebhookDelivery](owner.call(http.MethodPost, path+"/test", nil).is(http.StatusAccepted))
	first := endpoint.await(t, 1)[0]
	accepts(t, created.SigningSecret, first)
	settled := func() bool { return owner.deliveries(created.ID)[0].State == api.WebhookDeliveryStateDelivered }
	eventually(t, "the test is delivered", settled)
	replay := path + "/deliveries/" + queued.ID.String() + "/replay"
	if again := decoded[api.WebhookDelivery](owner.call(http.MethodPost, replay, nil).is(http.StatusAccepted)); again.State != api.WebhookDeliveryStatePending || len(again.Attempts) != 1 {
		t.Errorf("replayed: %+v", again)
	}
	second := endpoint.await(t, 2)[1]
	accepts(t, created.SigningSecret, second)
	if first.id() != second.id() || string(first.body) != string(second.body) || first.id() != queued.EventID.String() {
		t.Errorf("%s with %s, replayed as %s with %s", first.id(), first.body, second.id(), second.body)
	}
	eventually(t, "the replay is delivered", settled)
	if listed := owner.deliveries(created.ID); len(listed) != 1 || len(listed[0].Attempts) != 2 {
		t.Errorf("listed as %+v", listed)
	}
	// Neither is for a webhook that is not enabled, of another, or without that delivery.
	stranger := s.newTenant()
	theirs := stranger.createWebhook(endpoint.url, "email.bounced")
	stranger.call(http.MethodPost, webhooksPath+"/"+theirs.ID.String()+"/deliveries/"+queued.ID.String()+"/replay", nil).
		problem(http.StatusNotFound, api.ProblemCodeNotFound)
	stranger.call(http.MethodPost, replay, nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	owner.call(http.MethodPatch, path, map[string]any{"enabled": false}).is(http.StatusOK)
	owner.call(http.MethodPost, replay, nil).problem(http.StatusConflict, api.ProblemCodeWebhookDisabled)
	owner.call(http.MethodPost, path+"/test", nil).problem(http.StatusConflict, api.ProblemCodeWebhookDisabled)
	if n := len(endpoint.all()); n != 2 {
		t.Errorf("%d deliveries came", n)
	}
}

func TestWebhookSecretIsRotated(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	owner := s.newTenant()
	endpoint := newReceiver(t)
	created := owner.createWebhook(endpoint.url, "email.sent")
	path := webhooksPath + "/" + created.ID.String()
	rotated := decoded[api.WebhookWithSecret](owner.call(http.MethodPost, path+"/rotate-secret", nil).is(http.StatusOK))
	if rotated.SigningSecret == created.SigningSecret || rotated.PreviousSecretExpiresAt == nil ||
		rotated.PreviousSecretExpiresAt.Sub(s.clock.now().Add(24*time.Hour)).Abs() > time.Minute {
		t.Errorf("rotated to %+v", rotated.PreviousSecretExpiresAt)
	}
	owner.call(http.MethodPost, path+"/test", nil).is(http.StatusAccepted)
	both := endpoint.await(t, 1)[0]
	accepts(t, created.SigningSecret, both)
	accepts(t, rotated.SigningSecret, both)
	s.clock.advance(24*time.Hour + time.Second)
	owner.call(http.MethodPost, path+"/test", nil).is(http.StatusAccepted)
	after := endpoint.await(t, 2)[1]
	accepts(t, rotated.SigningSecret, after)
	if strings.Count(after.header.Get("webhook-signature"), "v1,") != 1 || owner.webhookAt(created.ID).PreviousSecretExpiresAt != nil {
		t.Errorf("after a day it is signed %s", after.header.Get("webhook-signature"))
	}
	// The database holds no secret that could be used.
	var stored string
	must(t, s.store.Pool().QueryRow(t.Context(), "SELECT encode(sealed_secret, 'base64') || coalesce(encode(previous_sealed_secret, 'base64'), '') FROM webhooks WHERE id = $1", created.ID).Scan(&stored))
	if strings.Contains(stored, strings.TrimPrefix(rotated.SigningSecret, "whsec_")) {
		t.Error("the secret is stored as it is")
	}
	if shown := owner.call(http.MethodGet, path, nil); strings.Contains(string(shown.body), "whsec_") {
		t.Errorf("shown again: %s", shown.body)
	}
}

func TestWebhooksAreChanged(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	created := owner.createWebhook("https://example.com/a", "email.sent")
	path := webhooksPath + "/" + created.ID.String()
	s.clock.advance(time.Minute)
	change := func(change map[string]any) api.Webhook {
		return decoded[api.Webhook](owner.call(http.MethodPatch, path, change).is(http.StatusOK))
	}
	if got := change(map[string]any{"url": "https://example.com/b"}); got.URL != "https://example.com/b" || len(got.Events) != 1 || !got.Enabled || !got.UpdatedAt.After(created.UpdatedAt) {
		t.Errorf("a new URL: %+v", got)
	}
	if got := change(map[string]any{"events": []string{"domain.failed", "email.opened"}}); got.URL != "https://example.com/b" || !slices.Equal(got.Events, []api.WebhookEventType{"domain.failed", "email.opened"}) {
		t.Errorf("new events: %+v", got)
	}
	if got := change(map[string]any{"enabled": false}); got.Enabled || got.DisabledReason != nil || len(got.Events) != 2 {
		t.Errorf("disabled: %+v", got)
	}
	if got := owner.webhookAt(created.ID); got.Enabled || got.URL != "https://example.com/b" {
		t.Errorf("read: %+v", got)
	}
	for _, wrong := range []string{
		`{"url":null}`, `{"events":null}`, `{"enabled":null}`, `{"events":[]}`, `{"enabled":"yes"}`, `{"secret":"x"}`, `{"url":"http://example.com"}`,
	} {
		owner.call(http.MethodPatch, path, wrong).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	}
	s.newTenant().call(http.MethodPatch, path, map[string]any{"enabled": true}).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	owner.call(http.MethodDelete, path, nil).is(http.StatusNoContent)
	for _, gone := range []answer{
		owner.call(http.MethodDelete, path, nil), owner.call(http.MethodGet, path, nil), owner.call(http.MethodGet, path+"/deliveries", nil),
		owner.call(http.MethodPost, path+"/test", nil), owner.call(http.MethodPost, path+"/rotate-secret", nil),
		owner.call(http.MethodPatch, path, map[string]any{"enabled": true}),
	} {
		gone.problem(http.StatusNotFound, api.ProblemCodeNotFound)
	}
}

func TestWebhookURLs(t *testing.T) {
	t.Parallel()
	owner := newStack(t).newTenant()
	for _, good := range []string{
		"https://example.com", "https://example.com:8443/a?b=c", "https://bücher.example/", "HTTPS://EXAMPLE.COM/", "https://8.8.8.8/", "https://[2606:4700::1]/",
	} {
		owner.createWebhook(good, "email.sent")
	}
	for _, bad := range []string{
		"http://example.com", "ftp://example.com", "example.com/hooks", "//example.com/x", "https://", "https:///path", "https:example.com",
		"https://user:pass@example.com/", "https://user@example.com/", "https://example.com/#a", "https://example.com:0/", "https://example.com:99999/",
		"https://10.0.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/",
		"https://[2002:a00:1::]/", "https://[fe80::1%25eth0]/", "https://0.0.0.0/", "https://[::]/", "https://exa mple.com/", "https://example.com:/", "javascript:alert(1)",
		"https://" + strings.Repeat("a", 2048) + ".com/", "", "http://127.0.0.1:80/", "https://example.com/\n",
	} {
		found := owner.call(http.MethodPost, webhooksPath, map[string]any{"url": bad, "events": []string{"email.sent"}}).
			problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		if named := slices.Compact(pointers(found)); !slices.Equal(named, []string{"/url"}) {
			t.Errorf("%q: names %q", bad, named)
		}
	}
	for _, events := range []any{nil, []string{}, []string{"email.none"}, []string{"email.sent", "email.sent"}, "email.sent", []string{"webhook.test"}, []string{"*"}} {
		owner.call(http.MethodPost, webhooksPath, map[string]any{"url": "https://example.com", "events": events}).
			problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	}
}

func TestWebhookLimitAndList(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	second := newStack(t, options{store: s.store})
	owner := s.newTenant()
	s.newTenant().createWebhook("https://example.com", "email.sent")
	statuses := concurrently(30, func(i int) int {
		return []*stack{s, second}[i%2].exchange(http.MethodPost, webhooksPath, owner.key, map[string]any{
			"url": fmt.Sprint("https://example.com/", i), "events": []string{"email.sent"},
		}).status
	})
	if statuses[http.StatusCreated] != 20 || statuses[http.StatusConflict] != 10 {
		t.Errorf("30 at once with room for 20: %v", statuses)
	}
	owner.call(http.MethodPost, webhooksPath, map[string]any{"url": "https://example.com", "events": []string{"email.sent"}}).
		problem(http.StatusConflict, api.ProblemCodeWebhookLimitReached)
	var found []string
	query := url.Values{"limit": {"7"}}
	for {
		page := decoded[api.WebhookList](owner.call(http.MethodGet, webhooksPath+"?"+query.Encode(), nil).is(http.StatusOK))
		for _, one := range page.Data {
			found = append(found, one.ID.String())
		}
		if page.NextCursor == nil {
			break
		}
		query.Set("cursor", *page.NextCursor)
	}
	newestFirst := slices.IsSortedFunc(found, func(a, b string) int { return strings.Compare(b, a) })
	if len(slices.Compact(found)) != 20 || !newestFirst {
		t.Errorf("listed %d: %v", len(found), found)
	}
	s.newTenant().call(http.MethodGet, webhooksPath+"?"+query.Encode(), nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	owner.call(http.MethodGet, webhooksPath+"?enabled=true", nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
}

func TestDeliveryListPages(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	created, other := owner.createWebhook("https://example.com/a", "email.sent"), owner.createWebhook("https://example.com/b", "email.sent")
	path := webhooksPath + "/" + created.ID.String()
	var want []uuid.UUID
	test := func() uuid.UUID {
		return decoded[api.WebhookDelivery](owner.call(http.MethodPost, path+"/test", nil).is(http.StatusAccepted)).ID
	}
	for range 7 {
		want = append([]uuid.UUID{test()}, want...)
	}
	var found []uuid.UUID
	query := url.Values{"limit": {"3"}}
	for {
		page := decoded[api.WebhookDeliveryList](owner.call(http.MethodGet, path+"/deliveries?"+query.Encode(), nil).is(http.StatusOK))
		for _, one := range page.Data {
			found = append(found, one.ID)
		}
		if page.NextCursor == nil {
			break
		}
		query.Set("cursor", *page.NextCursor)
		test() // what arrives meanwhile is neither skipped nor repeated
	}
	if !slices.Equal(found, want) {
		t.Errorf("listed %v, want %v", found, want)
	}
	owner.call(http.MethodGet, webhooksPath+"/"+other.ID.String()+"/deliveries?"+query.Encode(), nil).
		problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
}

// An endpoint that does not answer keeps its events until it is enabled again.
func TestWebhookIsDisabledByItsEndpoint(t *testing.T) {
	t.Parallel()
	s := newStack(t, options{worker: true})
	owner := s.newTenant()
	endpoint := newReceiver(t)
	created := owner.createWebhook(endpoint.url, "email.sent")
	endpoint.answer(http.StatusGone)
	path := webhooksPath + "/" + created.ID.String()
	owner.call(http.MethodPost, path+"/test", nil).is(http.StatusAccepted)
	eventually(t, "it is disabled", func() bool { return !owner.webhookAt(created.ID).Enabled })
	if reason := owner.webhookAt(created.ID).DisabledReason; reason == nil || !strings.Contains(*reason, "410") {
		t.Errorf("the reason is %v", reason)
	}
	endpoint.answer(http.StatusOK)
	s.clock.advance(time.Minute)
	if got := decoded[api.Webhook](owner.call(http.MethodPatch, path, map[string]any{"enabled": true}).is(http.StatusOK)); got.DisabledReason != nil || !got.Enabled {
		t.Errorf("enabled again: %+v", got)
	}
	came := endpoint.await(t, 2)
	if came[0].id() != came[1].id() {
		t.Errorf("delivered %s, then %s", came[0].id(), came[1].id())
	}
}
