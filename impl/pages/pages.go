// Package pages serves what a browser shows: the API reference, the guide to webhooks and the pages about problems.
//
//   - pages.go: the routes, and the published documents
//   - docs.go: the API reference
//   - guide.go: the guide to webhooks
//   - problems.go: the pages that the type of a problem points to
package pages

import (
	"net/http"

	"github.com/voostack/mailstack/gen/openapi"
	"github.com/voostack/mailstack/impl/httpserver"
	"github.com/voostack/mailstack/impl/spec"
)

// Routes returns the routes of all pages. The examples of the API reference send from exampleDomain; empty means from the
// domain of the published document.
func Routes(exampleDomain string) ([]httpserver.Route, error) {
	doc, err := spec.Load(openapi.YAML())
	if err != nil {
		return nil, err
	}
	docs, err := docsHandler(doc, exampleDomain)
	if err != nil {
		return nil, err
	}
	guide, err := guideHandler(doc)
	if err != nil {
		return nil, err
	}
	var routes []httpserver.Route
	for _, page := range []struct {
		path    string
		handler http.Handler
	}{
		{"/openapi.yaml", serveDocument("application/yaml", openapi.YAML())},
		{"/openapi.json", serveDocument("application/json", openapi.JSON())},
		{"/docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently)},
		{"/docs/*", docs},
		{"/docs/webhooks", guide},
		{"/problems", http.HandlerFunc(serveProblemIndex)},
		{"/problems/:code", http.HandlerFunc(serveProblemPage)},
	} {
		routes = append(routes, httpserver.Route{Method: http.MethodGet, Path: page.path, Handler: page.handler})
	}
	return routes, nil
}

// serveDocument serves a file as it is.
func serveDocument(contentType string, document []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		// A failed write means that the client has gone.
		_, _ = w.Write(document)
	}
}
