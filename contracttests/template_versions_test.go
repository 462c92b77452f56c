package contracttests

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

func TestTemplateFromDraftToSecondVersion(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	answer := tenant.call(http.MethodPost, templatesPath, newTemplate("Welcome")).is(http.StatusCreated)
	created := decoded[api.Template](answer)
	if created.LatestVersion != 1 || created.PublishedVersion != nil || shown(created.HTML) != "<p>Hi {{name}}</p>" ||
		shown(created.Subject) != "Welcome, {{name}}" || answer.header.Get("Location") != templatesPath+"/"+created.ID.String() {
		t.Errorf("created %s at %q", answer.body, answer.header.Get("Location"))
	}
	sending := email(from, "subject", "My own", "text", nil, "templateId", created.ID, "variables", values{"name": "<Sam>"})
	says := func(html, text string) {
		t.Helper()
		id := tenant.send(sending)
		gotHTML, gotText := tenant.content(id)
		// The subject is the send's, not the template's.
		if gotHTML != html || gotText != text || tenant.read(id).Subject != "My own" {
			t.Errorf("sent %q, %q, %q", tenant.read(id).Subject, gotHTML, gotText)
		}
	}
	tenant.refused(singlePath, sending).problem(http.StatusBadRequest, api.ProblemCodeTemplateNotPublished)
	if published := tenant.publishTemplate(created.ID); shown(published.PublishedVersion) != "1" || published.LatestVersion != 1 {
		t.Errorf("published %+v", published)
	}
	says("<p>Hi &lt;Sam&gt;</p>", "Hi <Sam>")

	draft := tenant.editTemplate(created.ID, values{"html": "<p>Hello {{name}}</p>", "text": nil})
	if draft.LatestVersion != 2 || shown(draft.PublishedVersion) != "1" || draft.Text != nil || shown(draft.Subject) != "Welcome, {{name}}" {
		t.Errorf("edited to %+v", draft)
	}
	says("<p>Hi &lt;Sam&gt;</p>", "Hi <Sam>")
	// A draft that is edited again stays the same version.
	if again := tenant.editTemplate(created.ID, values{"html": "<p>Good day {{name}}</p>"}); again.LatestVersion != 2 {
		t.Errorf("edited again to %+v", again)
	}
	tenant.publishTemplate(created.ID)
	says("<p>Good day &lt;Sam&gt;</p>", "")

	first, second := tenant.readVersion(created.ID, 1), tenant.readVersion(created.ID, 2)
	if first.IsPublished || shown(first.HTML) != "<p>Hi {{name}}</p>" || shown(first.Text) != "Hi {{name}}" ||
		!second.IsPublished || shown(second.HTML) != "<p>Good day {{name}}</p>" || second.Text != nil {
		t.Errorf("versions are %+v and %+v", first, second)
	}
	tenant.of(created.ID, http.MethodGet, "/versions/3", nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)

	sent := tenant.send(sending)
	if gone := tenant.of(created.ID, http.MethodDelete, "", nil).is(http.StatusNoContent); len(gone.body) != 0 {
		t.Errorf("204 came with %q", gone.body)
	}
	if html, _ := tenant.content(sent); html != "<p>Good day &lt;Sam&gt;</p>" {
		t.Errorf("the accepted message became %q", html)
	}
	tenant.refused(singlePath, sending).problem(http.StatusBadRequest, api.ProblemCodeTemplateNotPublished)
	for _, below := range []string{"", "/versions", "/versions/1"} {
		tenant.of(created.ID, http.MethodGet, below, nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	}
	tenant.of(created.ID, http.MethodDelete, "", nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	tenant.createTemplate("Welcome")
}

func TestTemplateEdits(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant := s.newTenant()
	id := tenant.createTemplate("Edited").ID
	published := tenant.publishTemplate(id)
	s.clock.advance(time.Minute)
	if again := tenant.publishTemplate(id); again.UpdatedAt != published.UpdatedAt || again.LatestVersion != 1 {
		t.Errorf("publishing again made %+v of %+v", again, published)
	}
	for what, change := range map[string]values{
		"nothing":      {},
		"its own name": {"name": "Edited"},
		"its own text": {"text": "Hi {{name}}", "subject": "Welcome, {{name}}", "html": "<p>Hi {{name}}</p>"},
	} {
		if same := tenant.editTemplate(id, change); same.LatestVersion != 1 || same.UpdatedAt != published.UpdatedAt {
			t.Errorf("%s: %+v", what, same)
		}
	}
	renamed := tenant.editTemplate(id, values{"name": "Renamed"})
	if renamed.Name != "Renamed" || renamed.LatestVersion != 1 || !renamed.UpdatedAt.After(published.UpdatedAt.Time) ||
		renamed.CreatedAt != published.CreatedAt {
		t.Errorf("renamed to %+v", renamed)
	}
	// An absent member stays, null removes it, a value replaces it; an empty body counts as removed.
	edited := tenant.editTemplate(id, values{"subject": nil, "html": ""})
	if edited.Subject != nil || edited.HTML != nil || shown(edited.Text) != "Hi {{name}}" || edited.LatestVersion != 2 {
		t.Errorf("edited to %+v", edited)
	}
	for what, c := range map[string]struct {
		change  any
		code    api.ProblemCode
		pointer string
	}{
		"nothing left":         {values{"text": nil}, api.ProblemCodeValidationFailed, ""},
		"nothing left, empty":  {values{"text": ""}, api.ProblemCodeValidationFailed, ""},
		"null name":            {values{"name": nil}, api.ProblemCodeValidationFailed, "/name"},
		"blank name":           {values{"name": " "}, api.ProblemCodeValidationFailed, "/name"},
		"empty subject":        {values{"subject": ""}, api.ProblemCodeValidationFailed, "/subject"},
		"broken html":          {values{"html": "{{#a}}"}, api.ProblemCodeTemplateInvalid, "/html"},
		"a name and a partial": {values{"name": "Other", "text": "{{>file}}"}, api.ProblemCodeTemplateInvalid, "/text"},
	} {
		found := tenant.of(id, http.MethodPatch, "", c.change).problem(http.StatusBadRequest, c.code)
		if !slices.Equal(pointers(found), []string{c.pointer}) {
			t.Errorf("%s: pointers %q", what, pointers(found))
		}
	}
	if left := tenant.readTemplate(id); left.Name != "Renamed" || left.UpdatedAt != edited.UpdatedAt || shown(left.Text) != "Hi {{name}}" {
		t.Errorf("refused edits left %+v", left)
	}
	// A missing template is reported before a fault in a source, and after a fault in a shape.
	tenant.of(uuid.New(), http.MethodPatch, "", values{"html": "{{#a}}"}).problem(http.StatusNotFound, api.ProblemCodeNotFound)
	tenant.of(uuid.New(), http.MethodPatch, "", values{"html": 1}).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
}

// Concurrent edits and publications leave versions without a gap, and the published version never changes
// afterwards.
func TestTemplateEditsAtOnce(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	second := newStack(t, options{store: s.store})
	owner := s.newTenant()
	id := owner.createTemplate("raced", "html", nil, "text", "start").ID
	seen := concurrently(30, func(i int) int {
		server := []*stack{s, second}[i%2]
		path, method, body := templatesPath+"/"+id.String(), http.MethodPatch, any(values{"text": fmt.Sprint("edit ", i)})
		if i%3 == 0 {
			path, method, body = path+"/publish", http.MethodPost, nil
		}
		answer := server.exchange(method, path, owner.key, body).is(http.StatusOK)
		if found := decoded[api.Template](answer); found.Text == nil || body == nil && *found.PublishedVersion != found.LatestVersion {
			t.Errorf("answered %s", answer.body)
		}
		return answer.status
	})
	if seen[http.StatusOK] != 30 {
		t.Fatalf("answered %v", seen)
	}
	published := owner.publishTemplate(id)
	var versions []int32
	texts := map[string]bool{}
	for _, one := range owner.versions(id, nil).Data {
		versions = append(versions, one.Version)
		texts[shown(owner.readVersion(id, int(one.Version)).Text)] = true
	}
	for i, version := range versions {
		if version != published.LatestVersion-int32(i) {
			t.Fatalf("versions are %v of %d", versions, published.LatestVersion)
		}
	}
	if len(versions) != int(published.LatestVersion) || len(texts) != len(versions) {
		t.Errorf("versions %v with %d texts, latest %d", versions, len(texts), published.LatestVersion)
	}
}

// A published version is never written again, whatever edits run beside its publication.
func TestTemplatePublishedVersionStays(t *testing.T) {
	t.Parallel()
	owner := newStack(t).newTenant()
	id := owner.createTemplate("steady", "html", nil, "text", "start").ID
	for round := range 10 {
		published := make([]api.Template, 2)
		concurrently(2, func(i int) int {
			if i == 0 {
				published[i] = owner.publishTemplate(id)
			} else {
				published[i] = owner.editTemplate(id, values{"text": fmt.Sprint("round ", round)})
			}
			return 0
		})
		version := int(*published[0].PublishedVersion)
		if now := owner.readVersion(id, version); shown(now.Text) != shown(published[0].Text) {
			t.Fatalf("version %d was published as %q and became %q", version, shown(published[0].Text), shown(now.Text))
		}
	}
}
