package contracttests

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/gen/db"
	"github.com/voostack/mailstack/impl/organization"
	"github.com/voostack/mailstack/impl/reputation"
)

// pauseDomain pauses sending from a domain, as too many bounces of its mail do.
func (t *tenant) pauseDomain(name string) {
	t.t.Helper()
	must(t.t, t.store.Queries().ReputationSave(t.t.Context(), db.ReputationSaveParams{
		OrganizationID: t.id, Now: t.clock.now(), Domains: []string{name}, Recipients: []int64{1000}, Bounced: []int64{100},
		Complained: []int64{0}, Warned: []bool{true}, Paused: []bool{true},
	}))
}

// resume is what an operator does.
func (t *tenant) resume() {
	t.t.Helper()
	must(t.t, organization.Organizations{Store: t.store, Now: t.clock.now}.Resume(t.t.Context(), t.id))
}

// While sending is paused new messages are refused, those that were accepted before wait, and everything can be read.
func TestSendingPaused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	waiting := owner.send(email(from))
	owner.pauseSending()
	owner.call(http.MethodPost, singlePath, email(from)).problem(http.StatusForbidden, api.ProblemCodeSendingPaused)
	owner.call(http.MethodPost, batchPath, batchOf(email(from))).problem(http.StatusForbidden, api.ProblemCodeSendingPaused)
	owner.runWorker()
	if got := owner.read(waiting); got.Status != api.EmailStatusQueued {
		t.Errorf("the message that waited is %s", got.Status)
	}
	owner.call(http.MethodGet, domainsPath, nil).is(http.StatusOK)
	if usage := owner.usage(); usage.EmailsSent != 1 {
		t.Errorf("%d emails were counted", usage.EmailsSent)
	}
	owner.resume()
	owner.runWorker()
	if got := owner.read(waiting); got.Status != api.EmailStatusSent {
		t.Errorf("after resuming the message is %s", got.Status)
	}
	owner.send(email(from))
}

// A pause of a domain concerns what is sent from it, and nothing else of the organization.
func TestSendingFromADomainPaused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	owner.verified("paused.test")
	const paused = "hello@paused.test"
	waiting := owner.send(email(paused))
	owner.pauseDomain("paused.test")
	owner.call(http.MethodPost, singlePath, email(paused)).problem(http.StatusForbidden, api.ProblemCodeSendingPaused)
	owner.call(http.MethodPost, batchPath, batchOf(email(paused), email("a@unverified.example"))).
		problem(http.StatusForbidden, api.ProblemCodeSendingPaused)
	mixed := decoded[api.BatchResult](owner.call(http.MethodPost, batchPath, batchOf(email(paused), email(from))).is(http.StatusAccepted))
	if mixed.Accepted != 1 || mixed.Results[0].Code == nil || *mixed.Results[0].Code != api.ProblemCodeSendingPaused {
		t.Errorf("a batch from both domains: %+v", mixed)
	}
	sent := owner.send(email(from))
	owner.runWorker()
	if got := owner.read(waiting); got.Status != api.EmailStatusQueued {
		t.Errorf("the message from the domain is %s", got.Status)
	}
	if got := owner.read(sent); got.Status != api.EmailStatusSent {
		t.Errorf("the message from another domain is %s", got.Status)
	}

	// Registering the domain again does not end the pause.
	for _, one := range decoded[api.DomainList](owner.call(http.MethodGet, domainsPath, nil)) {
		if one.Domain == "paused.test" {
			owner.call(http.MethodDelete, domainsPath+"/"+one.ID.String(), nil).is(http.StatusNoContent)
		}
	}
	owner.verified("paused.test")
	owner.call(http.MethodPost, singlePath, email(paused)).problem(http.StatusForbidden, api.ProblemCodeSendingPaused)
	owner.resume()
	owner.send(email(paused))
}

// The whole way from bounces to the webhook and the refusal. Package worker proves which events of SES count.
func TestBouncesWarnAndPause(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, from := s.newSender()
	endpoint := newReceiver(t)
	secret := owner.createWebhook(endpoint.url, "organization.warning").SigningSecret
	var facts db.ReputationFactInsertParams
	for i := range 2 {
		emails := make([]map[string]any, 100)
		for j := range emails {
			emails[j] = email(from, "to", fmt.Sprintf("%d@example.com", 100*i+j))
		}
		sent := decoded[api.BatchResult](owner.call(http.MethodPost, batchPath, map[string]any{"emails": emails}).is(http.StatusAccepted))
		for j, one := range sent.Results {
			facts.OrganizationIds, facts.EmailIds = append(facts.OrganizationIds, owner.id), append(facts.EmailIds, *one.ID)
			facts.Kinds, facts.Recipients = append(facts.Kinds, "bounce"), append(facts.Recipients, fmt.Sprintf("%d@example.com", 100*i+j))
		}
	}
	watcher := &reputation.Watcher{
		Store: s.store, Now: s.clock.now, Log: slog.New(slog.DiscardHandler),
		Thresholds: reputation.Thresholds{MinRecipients: 200, Bounces: reputation.Levels{Warning: 0.04, Pause: 0.08}},
	}
	bounce := func(first, last int) {
		must(t, s.store.Queries().ReputationFactInsert(t.Context(), db.ReputationFactInsertParams{
			OrganizationIds: facts.OrganizationIds[first:last], EmailIds: facts.EmailIds[first:last], Kinds: facts.Kinds[first:last],
			Recipients: facts.Recipients[first:last], Now: s.clock.now(),
		}))
		s.clock.advance(3 * time.Minute)
		must(t, watcher.Run(t.Context()))
		owner.runWorker()
	}
	bounce(0, 10)
	owner.send(email(from))
	bounce(10, 30)
	owner.call(http.MethodPost, singlePath, email(from)).problem(http.StatusForbidden, api.ProblemCodeSendingPaused)
	paused := 0
	came := endpoint.await(t, 4) // of the organization and of its domain
	for _, one := range came {
		accepts(t, secret, one)
		var event api.WebhookOrganizationEvent
		must(t, json.Unmarshal(one.body, &event))
		if event.Data.Paused {
			paused++
		}
	}
	if len(came) != 4 || paused != 2 {
		t.Errorf("%d events came, %d of them of a pause", len(came), paused)
	}
}

// runWorker makes the worker do what is due until nothing is.
func (s *stack) runWorker() {
	s.t.Helper()
	for claimed := 1; claimed > 0; {
		var err error
		claimed, err = s.mailer.RunOnce(s.t.Context())
		must(s.t, err)
	}
}
