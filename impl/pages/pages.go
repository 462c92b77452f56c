// Package pages serves what a browser shows: the API reference, the guide to webhooks and the pages about problems. Its
// folder design holds what they look like.
//
//   - pages.go: the routes, and the published documents
//   - site.go: all pages, made when the first is asked for
//   - document.go: the published document, in the order in which it is written
//   - operations.go, fields.go: what the reference shows of operations, and of schemas
//   - samples.go: the document's samples
//   - guide.go: the guide to webhooks
//   - versioning.go: the guide to versions and deprecation
//   - problems.go: the pages that the type of a problem points to
//   - markdown.go, llms.go: the same pages as Markdown, and the list of them
package pages

import (
	_ "embed"
	"net/http"
	"sync"

	"github.com/voostack/mailstack/gen/openapi"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/pages/design"
)

const (
	stylePath  = "/docs/style.css"
	scriptPath = "/docs/reference.js"
)

//go:embed reference.js
var script []byte

// Routes returns the routes of all pages. The examples of the API reference send from exampleDomain; empty means from the
// domain of the published document.
func Routes(exampleDomain string) []httpserver.Route {
	made := sync.OnceValues(func() (*site, error) { return newSite(exampleDomain) })
	fixed := func(path string, handler http.Handler) httpserver.Route {
		return httpserver.Route{Method: http.MethodGet, Path: path, Handler: handler}
	}
	page := func(path string, find func(*site, *http.Request) http.Handler) httpserver.Route {
		return httpserver.Route{Method: http.MethodGet, Path: path, Handle: func(w http.ResponseWriter, r *http.Request) error {
			pages, err := made()
			if err != nil {
				return err
			}
			find(pages, r).ServeHTTP(w, r)
			return nil
		}}
	}
	return []httpserver.Route{
		fixed("/", http.RedirectHandler("/docs/", http.StatusFound)),
		fixed("/docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently)),
		fixed("/openapi.yaml", design.NewStatic("application/yaml", "", openapi.YAML())),
		fixed("/openapi.json", design.NewStatic("application/json", "", openapi.JSON())),
		fixed("/openapi-3.1.yaml", design.NewStatic("application/yaml", "", openapi.NewerYAML())),
		fixed("/openapi-3.1.json", design.NewStatic("application/json", "", openapi.NewerJSON())),
		fixed(stylePath, design.Stylesheet()),
		fixed(scriptPath, design.NewStatic("text/javascript; charset=utf-8", "", script)),
		page("/docs/", func(s *site, _ *http.Request) http.Handler { return s.reference }),
		page("/docs.md", func(s *site, _ *http.Request) http.Handler { return s.reference.asMarkdown() }),
		page("/docs/webhooks", func(s *site, _ *http.Request) http.Handler { return s.guide }),
		page("/docs/webhooks.md", func(s *site, _ *http.Request) http.Handler { return s.guide.asMarkdown() }),
		page("/docs/versioning", func(s *site, _ *http.Request) http.Handler { return s.versioning }),
		page("/docs/versioning.md", func(s *site, _ *http.Request) http.Handler { return s.versioning.asMarkdown() }),
		page("/problems", func(s *site, _ *http.Request) http.Handler { return s.problems }),
		page("/problems.md", func(s *site, _ *http.Request) http.Handler { return s.problems.asMarkdown() }),
		page("/llms.txt", func(s *site, _ *http.Request) http.Handler { return s.llms }),
		page("/problems/:code", (*site).problem),
	}
}
