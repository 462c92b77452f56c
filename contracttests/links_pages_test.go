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
)

func withPages(op operation) bool {
	return op.spec.Parameters.GetByInAndName("query", "cursor") != nil
}

// Every list has a link to its next page, which keeps the filters, and along it a client reads every entry once.
func TestLinksWalkThePages(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, sender := s.newSender()
	w := newScene(t, s, owner.key, sender, s.clock.now().Add(time.Hour))
	w.furnish()
	w.furnishPages(owner)
	filters := map[string]string{"listEmails": "&tag=paged&createdAfter=2000-01-01T00:00:00Z", "listSuppressions": "&reason=Manual"}
	all := operationsByID(t)
	for _, from := range operations(t, withPages) {
		found := linksOf(t, from, all)
		at := slices.IndexFunc(found, link.nextPage)
		if at < 0 || found[at].to.id != from.id {
			t.Errorf("%s has no link to its next page", from.id)
			continue
		}
		asked := w.succeeding(from)
		asked.query = "?limit=1" + filters[from.id]
		entries := map[string]bool{}
		for asked.query != "" {
			came := w.ask(s, from, asked, 0).is(http.StatusOK)
			var page struct{ Data []json.RawMessage }
			must(t, json.Unmarshal(came.body, &page))
			if len(page.Data) != 1 || entries[string(page.Data[0])] {
				t.Fatalf("%s: %s after %d entries", from.id, came.body, len(entries))
			}
			entries[string(page.Data[0])] = true
			asked.query = nextQuery(t, found[at], asked, came)
		}
		if len(entries) != 3 {
			t.Errorf("%s: read %d entries, want 3", from.id, len(entries))
		}
	}
}

// nextQuery returns the query to which a link to the next page leads, or nothing after the last page.
func nextQuery(t *testing.T, next link, asked request, came answer) string {
	t.Helper()
	query := url.Values{}
	for name, expression := range next.parameters {
		value := evaluated(t, expression, asked, came)
		switch {
		case strings.HasPrefix(expression, "$request.path."):
		case value != "":
			query.Set(name, value)
		case name == "cursor":
			return ""
		}
	}
	return "?" + query.Encode()
}

// furnishPages makes as much as every list needs to have three entries that pass its filter.
func (w *scene) furnishPages(owner *tenant) {
	w.t.Helper()
	for range 3 {
		owner.send(email(w.from, "tags", "paged"))
		owner.execute(`INSERT INTO events (email_id, fact_key, id, organization_id, type, occurred_at)
			VALUES ($1, $2::uuid::text, $2, $3, 'email.opened', now())`, w.message.id, uuid.Must(uuid.NewV7()), owner.id)
	}
	owner.execute(`INSERT INTO suppressions (id, organization_id, address_key, reason, created_at)
		VALUES (gen_random_uuid(), $1, 'bounced@example.com', 'Bounce', now())`, owner.id)
	template := uuid.MustParse(w.template.id)
	for _, text := range []string{"second", "third"} {
		w.create("createSuppressions")
		w.create("createTemplate")
		w.createBy("testWebhook", request{key: w.key, id: w.webhook.id})
		owner.publishTemplate(template)
		owner.editTemplate(template, values{"text": text})
	}
	w.create("createWebhook")
}
