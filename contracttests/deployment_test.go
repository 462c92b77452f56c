package contracttests

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// announced is the number of emails that a run against a deployment sends: a single one to read, one for each kind of
// send, and one for each of these under an idempotency key.
const announced = 5

// TestDeployment proves the cells that can be proven from outside, against the server of -url or else against one of
// its own. It removes everything that it creates.
func TestDeployment(t *testing.T) {
	t.Parallel()
	c, server, key := target(t)
	scene, err := lookAround(t, server, key, deployment.from)
	must(t, err)
	scene.interrupted = interruptible(t)
	rows := slices.DeleteFunc(table(operations(t)), func(r row) bool { return r.on != anywhere })
	announce(t, fmt.Sprintf(
		"%s: will send %d emails, all from %s to %s; will create domains, API keys, suppressed addresses and templates that begin with %s, and remove them",
		server.url, announced, scene.from, recipient, scene.marker))
	// Not a cleanup, because the context of the test's requests has ended by then.
	defer scene.sweep()
	scene.furnish()
	proof := scene.run(rows)

	reachable := map[cell]bool{}
	for _, promised := range rows {
		reachable[promised.cell()] = true
	}
	for fault := range judge(c, reachable, proof) {
		t.Error(fault)
	}
	scene.checkEmails(proof)
	if deployment.url != "" {
		report(c, reachable, provenBy(c, proof))
	}
}

// target returns the server to test, with a key of it.
func target(t *testing.T) (*contract, *stack, string) {
	t.Helper()
	c, err := readContract()
	must(t, err)
	if deployment.url == "" {
		s := newStack(t)
		owner, _ := s.newSender()
		return c, s, owner.key
	}
	c.behindProxy = true
	return c, &stack{t: t, url: strings.TrimRight(deployment.url, "/"), http: newClient(t, c)}, deployment.key
}

// announce prints what a run against a deployment is about to do.
func announce(t *testing.T, what string) {
	t.Helper()
	if deployment.url == "" {
		t.Log(what)
		return
	}
	_, err := fmt.Fprintln(os.Stdout, what)
	must(t, err)
}

// interruptible returns the context of the test. It also ends when a run against a deployment is interrupted, so
// that the resources made there are removed then too.
func interruptible(t *testing.T) context.Context {
	t.Helper()
	if deployment.url == "" {
		return t.Context()
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	return ctx
}

// report draws the matrix of a deployment: a dash is a cell that cannot be reached from outside.
func report(c *contract, reachable map[cell]bool, proven provenCells) {
	mark := func(one cell) string {
		if !reachable[one] {
			return "-"
		}
		return proven.mark(one)
	}
	counted.tell(matrix(c, mark), func(int) string {
		return fmt.Sprintf("cells: %d documented, %d reachable from outside, %d proven", len(c.cells()), len(reachable), len(proven))
	})
}

// lookAround reads the scopes and the expiry of the key and finds an address to send from, without changing
// anything.
func lookAround(t *testing.T, server *stack, key, from string) (*scene, error) {
	t.Helper()
	if strings.Count(key, "_") < 3 {
		return nil, fmt.Errorf("name a key of %s (-key ms_live_…)", server.url)
	}
	listed := server.exchange(http.MethodGet, "/v1/api-keys", key, nil)
	if listed.status != http.StatusOK {
		return nil, fmt.Errorf("the key may not list the keys (it needs every scope): %d %s", listed.status, listed.body)
	}
	prefix := strings.Split(key, "_")[2]
	known := decoded[api.APIKeyList](listed)
	own := slices.IndexFunc(known, func(k api.APIKey) bool { return k.KeyPrefix == prefix })
	if own < 0 {
		return nil, fmt.Errorf("the server lists no key %s", prefix)
	}
	for _, op := range operations(t, secured) {
		if !slices.ContainsFunc(known[own].Scopes, func(scope api.Scope) bool { return slices.Contains(op.scopes, string(scope)) }) {
			return nil, fmt.Errorf("the key lacks a scope: %s needs %s", op.id, strings.Join(op.scopes, " or "))
		}
	}
	// No key may outlive the one that creates it.
	expires := time.Now().Add(time.Hour).UTC()
	if end := known[own].ExpiresAt; end != nil && end.Before(expires) {
		expires = end.Time
	}
	if from == "" {
		domains := decoded[api.DomainList](server.exchange(http.MethodGet, "/v1/domains", key, nil).is(http.StatusOK))
		verified := slices.IndexFunc(domains, func(d api.Domain) bool { return d.Status == api.DomainStatusVerified })
		if verified < 0 {
			return nil, fmt.Errorf("the organization has no verified domain to send from")
		}
		from = "contract@" + domains[verified].Domain
	}
	return newScene(t, server, key, from, expires), nil
}

// sweep deletes and revokes everything that bears the marker of this run, and checks that it is gone.
func (w *scene) sweep() {
	w.t.Helper()
	w.interrupted = context.Background()
	for _, path := range w.left() {
		w.call(http.MethodDelete, path)
	}
	if left := w.left(); len(left) > 0 {
		w.t.Errorf("still there: %q", left)
	}
}

// left returns the paths of the domains, unrevoked keys, suppressed addresses, templates and webhooks of this run
// that still exist. Of the last three it reads the newest hundred, more than a run makes.
func (w *scene) left() []string {
	w.t.Helper()
	var paths []string
	add := func(collection, name string, id uuid.UUID) {
		if strings.HasPrefix(name, w.marker) {
			paths = append(paths, collection+"/"+id.String())
		}
	}
	for _, found := range decoded[api.SuppressionList](w.call(http.MethodGet, suppressionsPath+"?limit=100").is(http.StatusOK)).Data {
		if strings.HasPrefix(found.Address, w.marker) {
			paths = append(paths, suppressionsPath+"/"+found.Address)
		}
	}
	for _, found := range decoded[api.DomainList](w.call(http.MethodGet, domainsPath).is(http.StatusOK)) {
		add(domainsPath, found.Domain, found.ID)
	}
	for _, found := range decoded[api.APIKeyList](w.call(http.MethodGet, keysPath).is(http.StatusOK)) {
		if found.RevokedAt == nil {
			add(keysPath, found.Name, found.ID)
		}
	}
	for _, found := range decoded[api.TemplateList](w.call(http.MethodGet, templatesPath+"?limit=100").is(http.StatusOK)).Data {
		add(templatesPath, found.Name, found.ID)
	}
	for _, found := range decoded[api.WebhookList](w.call(http.MethodGet, webhooksPath+"?limit=100").is(http.StatusOK)).Data {
		if strings.Contains(found.URL, w.marker) {
			paths = append(paths, webhooksPath+"/"+found.ID.String())
		}
	}
	return paths
}

func (w *scene) call(method, path string) answer {
	w.t.Helper()
	return w.ask(w.server, operation{method: method, path: path}, request{key: w.key}, 0)
}

// checkEmails compares the number of accepted emails with the announced number.
func (w *scene) checkEmails(proof []evidence) {
	w.t.Helper()
	if w.emails != announced {
		w.t.Errorf("%d emails were accepted, %d were announced", w.emails, announced)
	}
	for _, one := range proof {
		var sent struct {
			To, CC, BCC string
			Emails      []struct{ To, CC, BCC string }
		}
		if one.seen.status != http.StatusAccepted || len(one.seen.sent) == 0 {
			continue
		}
		must(w.t, json.Unmarshal(one.seen.sent, &sent))
		addressed := []string{sent.To + sent.CC + sent.BCC}
		for _, item := range sent.Emails {
			addressed = append(addressed, item.To+item.CC+item.BCC)
		}
		for _, address := range addressed {
			if address != "" && address != recipient {
				w.t.Errorf("%s was sent to %s", one.row, address)
			}
		}
	}
}
