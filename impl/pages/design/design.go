// Package design gives everything that a browser shows one look: a layout with header and footer, one stylesheet, and the
// fields of HTTP that go with them. It knows nothing of what the pages say.
//
//   - design.go: the layout, into which a page's own template is put
//   - static.go: files that don't change while the process runs, compressed and with an entity tag
package design

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
)

//go:embed layout.html
var files embed.FS

//go:embed style.css
var stylesheet []byte

// Policy is the Content-Security-Policy of a page that runs nothing: it takes the stylesheet and nothing else.
const Policy = "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Link is a link of the header.
type Link struct{ Title, Path string }

// Page is what the layout shows around a page's own content.
type Page struct {
	Title string
	// Style is the path of the stylesheet, Script of a script, if the page has one.
	Style, Script string
	// The links are in the header; the first is the word mark's as well. Here is the path of the one that is shown.
	Links []Link
	Here  string
	// Markdown is the path of the same page as Markdown, if there is one.
	Markdown string
	// Wide gives the page the whole width of the window.
	Wide bool
}

// Parse reads the templates of pages into the layout. Each page defines "main", and what it needs for that.
func Parse(pages fs.FS, functions template.FuncMap, patterns ...string) (*template.Template, error) {
	layout, err := template.New("layout.html").Funcs(functions).ParseFS(files, "layout.html")
	if err != nil {
		return nil, fmt.Errorf("read the layout of pages: %w", err)
	}
	parsed, err := layout.ParseFS(pages, patterns...)
	if err != nil {
		return nil, fmt.Errorf("read the template of a page: %w", err)
	}
	return parsed, nil
}

// Render writes a page with data for its "main".
func Render(w io.Writer, parsed *template.Template, page Page, data any) error {
	if err := parsed.ExecuteTemplate(w, "layout.html", struct {
		Page
		Data any
	}{page, data}); err != nil {
		return fmt.Errorf("write the page %q: %w", page.Title, err)
	}
	return nil
}

// Stylesheet serves the stylesheet.
func Stylesheet() http.Handler { return NewStatic("text/css; charset=utf-8", "", stylesheet) }

// Protect sets the fields that every page has. What isn't a page has no policy.
func Protect(header http.Header, policy string) {
	if policy != "" {
		header.Set("Content-Security-Policy", policy)
		header.Set("Referrer-Policy", "no-referrer")
	}
	header.Set("X-Content-Type-Options", "nosniff")
}
