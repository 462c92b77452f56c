package contracttests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

const webhooksPath = "/v1/webhooks"

// createWebhook creates a webhook.
func (t *tenant) createWebhook(url string, events ...string) api.WebhookWithSecret {
	t.t.Helper()
	return decoded[api.WebhookWithSecret](t.call(http.MethodPost, webhooksPath, map[string]any{"url": url, "events": events}).is(http.StatusCreated))
}

func (t *tenant) webhookAt(id uuid.UUID) api.Webhook {
	t.t.Helper()
	return decoded[api.Webhook](t.call(http.MethodGet, webhooksPath+"/"+id.String(), nil).is(http.StatusOK))
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
	if got := change(map[string]any{"url": "https://example.com/b"}); got.URL != "https://example.com/b" || len(got.Events) != 1 || !got.Enabled || !got.UpdatedAt.After(created.UpdatedAt.Time) {
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
