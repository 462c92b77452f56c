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
	reference, guide, problems, missing http.Handler
	byCode                              map[string]http.Handler
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
	made := &site{byCode: map[string]http.Handler{}}
	reference, err := doc.reference(operations)
	if err != nil {
		return nil, err
	}
	page := design.Page{Title: "API reference", Here: "/docs/", Script: scriptPath, Wide: true}
	if made.reference, err = render("reference.html", referencePolicy, page, reference); err != nil {
		return nil, err
	}
	guide, err := doc.guide()
	if err != nil {
		return nil, err
	}
	if made.guide, err = render("webhooks.html", design.Policy, design.Page{Title: "Webhooks", Here: "/docs/webhooks"}, guide); err != nil {
		return nil, err
	}
	entries := problemEntries(operations)
	if made.problems, err = render("problems.html", design.Policy, design.Page{Title: "Problems", Here: "/problems"}, entries); err != nil {
		return nil, err
	}
	missing, err := render("no-problem.html", design.Policy, design.Page{Title: "There is no such problem"}, nil)
	if err != nil {
		return nil, err
	}
	made.missing = missing.WithStatus(http.StatusNotFound)
	for _, entry := range entries {
		title := strings.TrimSuffix(entry.Title, ".")
		if made.byCode[string(entry.Code)], err = render("problem.html", design.Policy, design.Page{Title: title}, entry); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// problem returns the page of the problem that a path names.
func (s *site) problem(r *http.Request) http.Handler {
	if known, found := s.byCode[strings.TrimPrefix(r.URL.Path, "/problems/")]; found {
		return known
	}
	return s.missing
}

// render makes a page from the template of that name.
func render(name, policy string, page design.Page, data any) (*design.Static, error) {
	parsed, err := design.Parse(templates, template.FuncMap{"class": statusClass, "lower": strings.ToLower}, "html/"+name)
	if err != nil {
		return nil, err
	}
	page.Style = stylePath
	page.Links = []design.Link{
		{Title: "Reference", Path: "/docs/"}, {Title: "Webhooks", Path: "/docs/webhooks"}, {Title: "Problems", Path: "/problems"},
	}
	var shown bytes.Buffer
	if err := design.Render(&shown, parsed, page, data); err != nil {
		return nil, err
	}
	return design.NewStatic("text/html; charset=utf-8", policy, shown.Bytes()), nil
}

// statusClass returns the class of a status in the stylesheet: s2, s4 or s5.
func statusClass(status int) string { return "s" + string(rune('0'+status/100)) }
