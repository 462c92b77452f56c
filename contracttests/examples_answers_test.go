package contracttests

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
)

// happenings are response bodies, by operation and status.
type happenings map[cell][]any

func (h happenings) add(operation string, came answer) {
	var body any
	if json.Unmarshal(came.body, &body) == nil {
		at := cell{operation, came.status}
		h[at] = append(h[at], body)
	}
}

// everyAnswer makes every response of the status matrix, and the other responses in the spec's examples.
func everyAnswer(t *testing.T) happenings {
	t.Helper()
	all := happenings{}
	for _, part := range []func(*testing.T) happenings{
		tableAnswers, drainingAnswers, overloadedSends, refusedSends, sentAnswers, domainAnswers, keyAnswers, usageAnswers, suppressionAnswers,
		templateAnswers, webhookAnswers,
	} {
		for at, bodies := range part(t) {
			all[at] = append(all[at], bodies...)
		}
	}
	return all
}

func tableAnswers(t *testing.T) happenings {
	found := happenings{}
	for _, one := range newInside(t).run(table(operations(t))) {
		found.add(one.row.operation, answer{status: one.seen.status, body: one.seen.body})
	}
	return found
}

func drainingAnswers(t *testing.T) happenings {
	found := happenings{}
	s := newStack(t)
	owner := s.newTenant()
	s.server.Drain()
	for _, op := range operations(t) {
		found.add(op.id, owner.call(op.method, op.absent(), op.body()))
	}
	return found
}

// overloadedSends holds one message in the accept queue, which is then full.
func overloadedSends(t *testing.T) happenings {
	found := happenings{}
	s := newStack(t, options{waiting: 1})
	owner, from := s.newSender()
	tx, err := s.store.Pool().Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE emails IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	statuses := make(chan int, 2)
	for waiting := range 2 {
		go func() { statuses <- owner.call(http.MethodPost, singlePath, email(from)).status }()
		eventually(t, "one is in flight, one waits", func() bool { return s.intake.Waiting() == waiting+1 })
	}
	found.add("sendEmail", owner.call(http.MethodPost, singlePath, email(from)))
	found.add("sendBatch", owner.call(http.MethodPost, batchPath, batchOf(email(from))))
	must(t, tx.Rollback(t.Context()))
	for range 2 {
		if status := <-statuses; status != http.StatusAccepted {
			t.Errorf("one that waited got %d", status)
		}
	}
	return found
}

func refusedSends(t *testing.T) happenings {
	found := happenings{}
	s := newStack(t)
	owner, from := s.newSender()
	send := func(body any) { found.add("sendEmail", owner.call(http.MethodPost, singlePath, body)) }
	batch := func(body any) { found.add("sendBatch", owner.call(http.MethodPost, batchPath, body)) }
	owner.suppress("suppressed@example.com")
	send(email(from, "templateId", uuid.New()))
	send(email(from, "text", "Hi {{name}}", "variables", values{}))
	send(email(from, "to", "suppressed@example.com"))
	batch(batchOf(email(from), email(from, "to", "suppressed@example.com")))
	batch(map[string]any{"emails": []any{email(from)}, "sujbect": "Welcome"})
	owner, from = s.newSender()
	none := int64(0)
	owner.setBilling(true, &none, 0, 40)
	send(email(from))
	batch(batchOf(email(from)))
	return found
}

// sentAnswers sends the example and reads it once it was sent.
func sentAnswers(t *testing.T) happenings {
	found := happenings{}
	s := newStack(t, options{worker: true, events: "1"})
	owner := s.newTenant()
	owner.verified("yourdomain.com")
	for _, one := range examplesOf(document(t)) {
		if one.cell != (cell{"sendEmail", 0}) {
			continue
		}
		id := decoded[api.QueuedEmail](owner.call(http.MethodPost, singlePath, one.value).is(http.StatusAccepted)).ID
		eventually(t, "the example is sent", func() bool { return owner.read(id).Status == api.EmailStatusSent })
		found.add("getEmail", owner.call(http.MethodGet, singlePath+"/"+id.String(), nil))
	}
	bounced := owner.send(email("hello@yourdomain.com", "to", "bounce@simulator.amazonses.com"))
	eventually(t, "a message bounces", func() bool { return len(owner.events(bounced, nil).Data) == 2 })
	found.add("listEmailEvents", owner.call(http.MethodGet, singlePath+"/"+bounced.String()+"/events", nil))
	found.add("listEmailEvents", owner.call(http.MethodGet, singlePath+"/"+bounced.String()+"/events?cursor=AAAA", nil))
	found.add("listEmails", owner.call(http.MethodGet, singlePath+"?limit=100", nil))
	found.add("listEmails", owner.call(http.MethodGet, singlePath+"?limit=1&to=user@example.com", nil))
	found.add("listEmails", owner.call(http.MethodGet, singlePath+"?tag=welcome", nil))
	found.add("listEmails", owner.call(http.MethodGet, singlePath+"?cursor=AAAA", nil))
	return found
}

func domainAnswers(t *testing.T) happenings {
	found := happenings{}
	owner := newStack(t).newTenant()
	registered := owner.register("yourdomain.com")
	at := domainsPath + "/" + registered.ID.String()
	found.add("listDomains", owner.call(http.MethodGet, domainsPath, nil))
	found.add("getDomain", owner.call(http.MethodGet, at, nil))
	found.add("verifyDomain", owner.call(http.MethodPost, at+"/verify", nil))
	owner.publish(registered.DNSRecords...)
	owner.clock.advance(time.Minute)
	found.add("verifyDomain", owner.call(http.MethodPost, at+"/verify", nil))
	for i := range 99 {
		_, err := owner.store.Queries().DomainInsert(t.Context(), db.DomainInsertParams{
			ID: uuid.Must(uuid.NewV7()), OrganizationID: owner.id, Name: fmt.Sprintf("filler-%d.example", i), MailFromSubdomain: "mail",
			OwnershipToken: "x", Now: owner.clock.now(),
		})
		must(t, err)
	}
	found.add("createDomain", owner.call(http.MethodPost, domainsPath, map[string]any{"domain": "one-more.example"}))
	return found
}

func keyAnswers(t *testing.T) happenings {
	found := happenings{}
	s := newStack(t)
	owner := s.newTenant()
	create := func(as string, change map[string]any) {
		request := map[string]any{"name": "key " + uuid.NewString(), "scopes": []string{"emails:send"}, "expiresAt": nil}
		maps.Copy(request, change)
		found.add("createApiKey", owner.exchange(http.MethodPost, keysPath, as, request))
	}
	_, maker := owner.insertKey("maker", []string{"api-keys:write"}, nil)
	create(maker, map[string]any{"scopes": []string{"domains:write"}})
	create(owner.key, nil)
	create(owner.key, map[string]any{"sujbect": "Welcome"})

	must(t, s.server.FlushLastUsed(t.Context()))
	owner.execute("DELETE FROM api_keys WHERE organization_id = $1", owner.id)
	earlier, _ := owner.insertKey("Production", []string{"api-keys:read", "api-keys:write"}, nil)
	owner.execute("UPDATE api_keys SET revoked_at = $2 WHERE id = $1", earlier, owner.clock.now())
	id, current := owner.insertKey("Production", []string{"api-keys:read", "api-keys:write"}, nil)
	owner.key = current
	found.add("getApiKey", owner.call(http.MethodGet, keysPath+"/"+id.String(), nil))
	must(t, s.server.FlushLastUsed(t.Context()))
	for _, query := range []string{"", "?includeRevoked=false", "?includeRevoked=maybe"} {
		found.add("listApiKeys", owner.call(http.MethodGet, keysPath+query, nil))
	}

	for i := range 99 {
		owner.insertKey(fmt.Sprint(i), []string{"emails:send"}, nil)
	}
	create(owner.key, map[string]any{"scopes": []string{"api-keys:read"}})
	return found
}

func usageAnswers(t *testing.T) happenings {
	found := happenings{}
	owner := newStack(t).newTenant()
	cents := int64(5000)
	owner.setBilling(true, &cents, 3000, 40)
	owner.spend(4200)
	found.add("getUsage", owner.call(http.MethodGet, "/v1/billing/usage", nil))
	return found
}

func suppressionAnswers(t *testing.T) happenings {
	found := happenings{}
	owner := newStack(t).newTenant()
	owner.suppressFor(api.SuppressionReasonBounce, "former@example.com", "smtp; 550 5.1.1 user unknown", uuid.Must(uuid.NewV7()))
	found.add("createSuppressions", owner.call(http.MethodPost, suppressionsPath, suppressing("former@example.com", "leaver@example.com")))
	found.add("listSuppressions", owner.call(http.MethodGet, suppressionsPath, nil))
	found.add("listSuppressions", owner.call(http.MethodGet, suppressionsPath+"?cursor=AAAA", nil))
	return found
}

func templateAnswers(t *testing.T) happenings {
	found := happenings{}
	owner := newStack(t).newTenant()
	id := owner.createTemplate("Welcome").ID
	ask := func(operation, method, below string, body any) {
		found.add(operation, owner.of(id, method, below, body))
	}
	owner.publishTemplate(id)
	ask("updateTemplate", http.MethodPatch, "", values{"subject": nil})
	ask("updateTemplate", http.MethodPatch, "", values{"html": nil, "text": nil})
	ask("updateTemplate", http.MethodPatch, "", values{"html": "{{#items}}"})
	owner.editTemplate(id, values{"subject": "Welcome, {{name}}"})
	ask("getTemplate", http.MethodGet, "", nil)
	ask("getTemplateVersion", http.MethodGet, "/versions/1", nil)
	found.add("listTemplates", owner.call(http.MethodGet, templatesPath, nil))
	found.add("listTemplates", owner.call(http.MethodGet, templatesPath+"?cursor=AAAA", nil))
	ask("listTemplateVersions", http.MethodGet, "/versions", nil)
	ask("listTemplateVersions", http.MethodGet, "/versions?cursor=AAAA", nil)
	ask("previewTemplate", http.MethodPost, "/preview", values{"variables": values{"name": "Sam"}})
	owner.editTemplate(id, values{"html": strings.Repeat("{{name}}", 5)})
	ask("previewTemplate", http.MethodPost, "/preview", values{"variables": values{"name": strings.Repeat("x", 1_000_000)}})
	found.add("createTemplate", owner.call(http.MethodPost, templatesPath, newTemplate("none", "html", nil, "text", nil)))
	ask("publishTemplate", http.MethodPost, "/publish", nil)

	owner.execute(`UPDATE templates SET latest_version = 1000, published_version = 1000 WHERE id = $1`, id)
	owner.execute(`UPDATE template_versions SET version = 1000 WHERE template_id = $1 AND version = 2`, id)
	ask("updateTemplate", http.MethodPatch, "", values{"text": "one more"})
	owner.execute(`INSERT INTO templates (id, organization_id, name, latest_version, created_at, updated_at)
		SELECT gen_random_uuid(), $1, 'filler ' || n, 1, now(), now() FROM generate_series(2, 1000) AS n`, owner.id)
	found.add("createTemplate", owner.call(http.MethodPost, templatesPath, newTemplate("one more")))
	return found
}

// webhookAnswers creates the webhook of the examples, at an endpoint that fails.
func webhookAnswers(t *testing.T) happenings {
	found := happenings{}
	s := newStack(t)
	owner := s.newTenant()
	endpoint := newReceiver(t)
	endpoint.answer(http.StatusInternalServerError)
	created := owner.call(http.MethodPost, webhooksPath, map[string]any{
		"url": endpoint.url, "events": []string{"email.bounced", "email.complained"},
	})
	found.add("createWebhook", created)
	path := webhooksPath + "/" + decoded[api.WebhookWithSecret](created).ID.String()
	found.add("listWebhooks", owner.call(http.MethodGet, webhooksPath, nil))
	found.add("getWebhook", owner.call(http.MethodGet, path, nil))
	found.add("updateWebhook", owner.call(http.MethodPatch, path, map[string]any{"enabled": true}))
	found.add("rotateWebhookSecret", owner.call(http.MethodPost, path+"/rotate-secret", nil))
	test := owner.call(http.MethodPost, path+"/test", nil)
	found.add("testWebhook", test)
	owner.execute("UPDATE deliveries SET event_type = 'email.bounced' WHERE organization_id = $1", owner.id)
	found.add("replayWebhookDelivery", owner.call(http.MethodPost, path+"/deliveries/"+decoded[api.WebhookDelivery](test).ID.String()+"/replay", nil))
	_, err := s.mailer.RunOnce(t.Context())
	must(t, err)
	found.add("listWebhookDeliveries", owner.call(http.MethodGet, path+"/deliveries", nil))
	return found
}
