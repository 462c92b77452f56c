package contracttests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// pagesOf reads every page of a list, calling between after each, and returns what known returns for each entry.
func pagesOf[Entry any](query url.Values, between func(), page func(url.Values) ([]Entry, *string), known func(Entry) string) []string {
	var found []string
	for {
		entries, next := page(query)
		for _, entry := range entries {
			found = append(found, known(entry))
		}
		if next == nil {
			return found
		}
		query.Set("cursor", *next)
		between()
	}
}

func TestTemplateListPagesNeitherSkipNorRepeat(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, stranger := s.newTenant(), s.newTenant()
	stranger.createTemplate("theirs")
	if empty := tenant.templates(nil); len(empty.Data) != 0 || empty.NextCursor != nil {
		t.Fatalf("an empty list is %+v", empty)
	}
	var before []string
	for i := range 9 {
		before = append(before, tenant.createTemplate(fmt.Sprint("template ", i)).Name)
	}
	// All have the same time: only their ids order them.
	tenant.execute(`UPDATE templates SET created_at = now(), updated_at = now() WHERE organization_id = $1`, tenant.id)
	slices.Reverse(before)
	arrivals := 0
	for _, limit := range []string{"1", "2", "4", "9", "100"} {
		want := before
		var arrived []string
		got := pagesOf(url.Values{"limit": {limit}}, func() {
			arrivals++
			arrived = append(arrived, tenant.createTemplate(fmt.Sprint("arrival ", arrivals)).Name)
		}, func(query url.Values) ([]api.TemplateSummary, *string) {
			page := tenant.templates(query)
			return page.Data, page.NextCursor
		}, func(one api.TemplateSummary) string { return one.Name })
		if !slices.Equal(got, want) {
			t.Errorf("limit %s: read %q, want %q", limit, got, want)
		}
		slices.Reverse(arrived)
		before = append(arrived, before...)
	}
	rows := tenant.call(http.MethodGet, templatesPath, nil)
	if strings.Contains(string(rows.body), "html") || strings.Contains(string(rows.body), "Hi ") {
		t.Errorf("the list shows bodies: %s", rows.body)
	}
}

func TestTemplateVersionPagesNeitherSkipNorRepeat(t *testing.T) {
	t.Parallel()
	tenant := newStack(t).newTenant()
	id := tenant.createTemplate("versions").ID
	edits := 0
	edit := func() {
		edits++
		tenant.publishTemplate(id)
		tenant.editTemplate(id, values{"text": fmt.Sprint("edit ", edits)})
	}
	for range 4 {
		edit()
	}
	for _, limit := range []string{"1", "2", "5", "100"} {
		latest := int(tenant.readTemplate(id).LatestVersion)
		var want []string
		for version := latest; version > 0; version-- {
			want = append(want, fmt.Sprint(version))
		}
		got := pagesOf(url.Values{"limit": {limit}}, edit, func(query url.Values) ([]api.TemplateVersionSummary, *string) {
			page := tenant.versions(id, query)
			return page.Data, page.NextCursor
		}, func(one api.TemplateVersionSummary) string { return fmt.Sprint(one.Version) })
		if !slices.Equal(got, want) {
			t.Errorf("limit %s: read %q, want %q", limit, got, want)
		}
	}
	list := tenant.versions(id, nil)
	if list.Data[0].IsPublished || !list.Data[1].IsPublished || list.Data[2].IsPublished || shown(list.Data[0].Subject) != "Welcome, {{name}}" {
		t.Errorf("listed %+v", list.Data[:3])
	}
}

func TestTemplateListsRefuseQueries(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner, stranger := s.newTenant(), s.newTenant()
	var ids []uuid.UUID
	for i := range 3 {
		id := owner.createTemplate(fmt.Sprint("template ", i)).ID
		owner.publishTemplate(id)
		owner.editTemplate(id, values{"text": "x"})
		ids = append(ids, id)
	}
	list := templatesPath + "?limit=1&cursor="
	of := func(id uuid.UUID) string { return templatesPath + "/" + id.String() + "/versions?limit=1&cursor=" }
	first := *owner.templates(url.Values{"limit": {"1"}}).NextCursor
	versions := *owner.versions(ids[0], url.Values{"limit": {"1"}}).NextCursor
	altered := []byte(first)
	altered[len(altered)/2] ^= 1
	for what, c := range map[string]struct {
		by   *tenant
		path string
	}{
		"unknown parameter":             {owner, templatesPath + "?name=a"},
		"no entries":                    {owner, templatesPath + "?limit=0"},
		"too many entries":              {owner, of(ids[0])[:len(of(ids[0]))-len("1&cursor=")] + "101"},
		"altered cursor":                {owner, list + string(altered)},
		"another list's cursor":         {owner, list + versions},
		"another template's cursor":     {owner, of(ids[1]) + versions},
		"a cursor of templates":         {owner, of(ids[0]) + first},
		"another organization's cursor": {stranger, list + first},
		"version 0":                     {owner, strings.Split(of(ids[0]), "?")[0] + "/0"},
		"version -1":                    {owner, strings.Split(of(ids[0]), "?")[0] + "/-1"},
		"version 1.0":                   {owner, strings.Split(of(ids[0]), "?")[0] + "/1.0"},
		"version 1e1":                   {owner, strings.Split(of(ids[0]), "?")[0] + "/1e1"},
		"version of 2^31":               {owner, strings.Split(of(ids[0]), "?")[0] + "/2147483648"},
		"version of 2^70":               {owner, strings.Split(of(ids[0]), "?")[0] + "/1180591620717411303424"},
		"latest":                        {owner, strings.Split(of(ids[0]), "?")[0] + "/latest"},
	} {
		t.Run(what, func(t *testing.T) {
			c.by.in(t).call(http.MethodGet, c.path, nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		})
	}
	owner.call(http.MethodGet, of(ids[0])+versions, nil).is(http.StatusOK)
	stranger.call(http.MethodGet, of(ids[0])+versions, nil).problem(http.StatusNotFound, api.ProblemCodeNotFound)
}
