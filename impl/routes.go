package impl

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
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
	guide, err := guideHandler(doc)
	if err != nil {
		return nil, err
	}
	return append([]Route{
		{http.MethodGet, "/openapi.yaml", serveSpec("application/yaml", server.config.Document)},
		{http.MethodGet, "/openapi.json", serveSpec("application/json", asJSON)},
		{http.MethodGet, "/docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently)},
		{http.MethodGet, "/docs/*", docs},
		{http.MethodGet, "/docs/webhooks", guide},
		{http.MethodGet, "/problems", http.HandlerFunc(serveProblemIndex)},
		{http.MethodGet, "/problems/:code", http.HandlerFunc(serveProblemPage)},
	}, server.config.Extra...), nil
}

// Routes lists what the router knows, as "METHOD /path/:parameter".
func (server *Server) Routes() []string {
	var known []string
	for _, route := range server.echo.Routes() {
		known = append(known, route.Method+" "+route.Path)
	}
	return known
}

// methodsOf lists the methods of every path without parameters.
func methodsOf(routes []*echo.Route) map[string]string {
	methods := make(map[string]string)
	for _, route := range routes {
		switch listed := methods[route.Path]; {
		case strings.ContainsAny(route.Path, ":*"):
		case listed == "":
			methods[route.Path] = route.Method
		default:
			methods[route.Path] = listed + ", " + route.Method
		}
	}
	return methods
}

// refuseMisrouted answers where the router is too generous. It lets a parameter be empty, and one at the end of a
// pattern hold slashes: 404. And it takes a path that the document names for another's parameter when the method is
// that one's: 405 (OpenAPI, Path Templating Matching: concrete paths come first).
func (server *Server) refuseMisrouted(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		path := echo.GetPath(c.Request())
		if c.Path() != "" && !fits(c.Path(), path) {
			return echo.ErrNotFound
		}
		if methods := server.methods[path]; methods != "" && c.Path() != path {
			c.Set(echo.ContextKeyHeaderAllow, methods)
			return echo.ErrMethodNotAllowed
		}
		return next(c)
	}
}

// fits tells whether a path has the segments of a pattern: a parameter is one that is not empty, * is all the rest.
func fits(pattern, path string) bool {
	given := strings.Split(path, "/")
	for i, segment := range strings.Split(pattern, "/") {
		switch {
		case segment == "*":
			return true
		case i >= len(given), segment != "" && given[i] == "":
			return false
		}
	}
	return strings.Count(pattern, "/") == strings.Count(path, "/")
}
