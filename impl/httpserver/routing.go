package httpserver

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// DefaultRequestTimeout is more than any operation needs.
const DefaultRequestTimeout = 15 * time.Second

// Route is served outside the spec.
type Route struct {
	Method  string
	Path    string
	Handler http.Handler
	// Handle is used where Handler is nil: its errors become problem documents, and its work is bounded like that of an
	// operation.
	Handle func(w http.ResponseWriter, r *http.Request) error
	// Operation names the route in metrics and traces. Empty means that its requests count among those of no operation.
	Operation string
}

func (server *Server) addRoute(route Route) {
	if route.Handler != nil {
		server.echo.Add(route.Method, route.Path, echo.WrapHandler(route.Handler))
		return
	}
	server.echo.Add(route.Method, route.Path, func(c echo.Context) error { return route.Handle(c.Response(), c.Request()) },
		server.withTimeout)
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

// strictRouting answers where the router is too generous. It lets a parameter be empty, and one at the end of a
// pattern hold slashes: 404. And it takes a path that the spec names for another's parameter when the method is
// that one's: 405 (OpenAPI, Path Templating Matching: concrete paths come first).
func (server *Server) strictRouting(next echo.HandlerFunc) echo.HandlerFunc {
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
