package impl

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
)

// Route is something that is served outside the document.
type Route struct {
	Method  string
	Path    string
	Handler http.Handler
}

// routes is everything that is served outside the document.
func (server *Server) routes(doc *openapi3.T) ([]Route, error) {
	asJSON, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("write the API document as JSON: %w", err)
	}
	docs, err := docsHandler(doc)
	if err != nil {
		return nil, err
	}
	return append([]Route{
		{http.MethodGet, "/openapi.yaml", serveSpec("application/yaml", server.config.Document)},
		{http.MethodGet, "/openapi.json", serveSpec("application/json", asJSON)},
		{http.MethodGet, "/docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently)},
		{http.MethodGet, "/docs/*", docs},
		{http.MethodGet, "/problems", http.HandlerFunc(serveProblemIndex)},
		{http.MethodGet, "/problems/:code", http.HandlerFunc(serveProblemPage)},
	}, server.config.Extra...), nil
}
