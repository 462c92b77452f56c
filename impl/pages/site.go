package pages

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/voostack/mailstack/impl/pages/design"
)

//go:embed html
var templates embed.FS

// referencePolicy lets the reference run its script and call this server, and no other.
const referencePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// site holds the pages. They don't change while the process runs.
type site struct {
	reference, guide, versioning, problems, missing bothForms
	byCode                                          map[string]bothForms
	llms                                            http.Handler
}

// newSite makes all pages from the published document.
func newSite(exampleDomain string) (*site, error) {
	doc, err := loadDocument(exampleDomain)
	if err != nil {
		return nil, err
	}
	operations, err := doc.operations()
	if err != nil {
		return nil, err
	}
	reference, err := doc.reference(operations)
	if err != nil {
		return nil, err
	}
	guide, err := doc.guide()
	if err != nil {
		return nil, err
	}
	entries := problemEntries(operations)
	made := &site{byCode: map[string]bothForms{}, llms: doc.llms(entries)}
	for _, page := range []struct {
		into     *bothForms
		template string
		policy   string
		page     design.Page
		data     any
	}{
		{
			&made.reference, "reference.html", referencePolicy,
			design.Page{Title: "API reference", Here: "/docs/", Markdown: "/docs.md", Script: scriptPath, Wide: true},
			reference,
		},
		{&made.guide, "webhooks.html", design.Policy, design.Page{Title: "Webhooks", Here: "/docs/webhooks", Markdown: "/docs/webhooks.md"}, guide},
		{
			&made.versioning, "versioning.html", design.Policy,
			design.Page{Title: "Versions and deprecation", Here: "/docs/versioning", Markdown: "/docs/versioning.md"},
			versioning(),
		},
		{&made.problems, "problems.html", design.Policy, design.Page{Title: "Problems", Here: "/problems", Markdown: "/problems.md"}, entries},
		{&made.missing, "no-problem.html", design.Policy, design.Page{Title: "There is no such problem"}, nil},
	} {
		if *page.into, err = render(page.template, page.policy, page.page, page.data); err != nil {
			return nil, err
		}
	}
	made.missing = made.missing.withStatus(http.StatusNotFound)
	for _, entry := range entries {
		page := design.Page{Title: strings.TrimSuffix(entry.Title, "."), Markdown: "/problems/" + string(entry.Code) + ".md"}
		if made.byCode[string(entry.Code)], err = render("problem.html", design.Policy, page, entry); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// problem returns the page of the problem that a path names, as Markdown where the path ends in .md.
func (s *site) problem(r *http.Request) http.Handler {
	code, asMarkdown := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/problems/"), ".md")
	page, known := s.byCode[code]
	if !known {
		page = s.missing
	}
	if asMarkdown {
		return page.asMarkdown()
	}
	return page
}

// render makes a page from the template of that name.
func render(name, policy string, page design.Page, data any) (bothForms, error) {
	parsed, err := design.Parse(templates, template.FuncMap{"class": statusClass, "lower": strings.ToLower}, "html/"+name)
	if err != nil {
		return bothForms{}, err
	}
	page.Style = stylePath
	page.Links = []design.Link{
		{Title: "Reference", Path: "/docs/"},
		{Title: "Webhooks", Path: "/docs/webhooks"},
		{Title: "Versions", Path: "/docs/versioning"},
		{Title: "Problems", Path: "/problems"},
	}
	var shown bytes.Buffer
	if err := design.Render(&shown, parsed, page, data); err != nil {
		return bothForms{}, err
	}
	text, err := toMarkdown(shown.Bytes())
	if err != nil {
		return bothForms{}, err
	}
	return bothForms{
		design.NewStatic("text/html; charset=utf-8", policy, shown.Bytes()),
		design.NewStatic("text/markdown; charset=utf-8", "", text),
	}, nil
}

// statusClass returns the class of a status in the stylesheet: s2, s4 or s5.
func statusClass(status int) string { return "s" + string(rune('0'+status/100)) }
