package contracttests

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

func (t *tenant) deliveries(id uuid.UUID) []api.WebhookDelivery {
	t.t.Helper()
	return decoded[api.WebhookDeliveryList](t.call(http.MethodGet, webhooksPath+"/"+id.String()+"/deliveries", nil).is(http.StatusOK)).Data
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
	// A webhook that subscribes later, or to other events, receives none of this.
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
	// A replay and a test fail for a webhook that is disabled or belongs to another organization; a replay also
	// fails for a webhook without that delivery.
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
		test() // deliveries that arrive meanwhile are neither skipped nor repeated
	}
	if !slices.Equal(found, want) {
		t.Errorf("listed %v, want %v", found, want)
	}
	owner.call(http.MethodGet, webhooksPath+"/"+other.ID.String()+"/deliveries?"+query.Encode(), nil).
		problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
}

// An endpoint that does not respond keeps its events until it is enabled again.
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
