package httpserver

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// DefaultRequestTimeout is more than any operation needs.
const DefaultRequestTimeout = 15 * time.Second

// Route is an HTTP route outside the spec.
type Route struct {
	Method  string
	Path    string
	Handler http.Handler
	// Handle is used if Handler is nil. Its errors become problem documents, and [Config.RequestTimeout] bounds it
	// like an operation.
	Handle func(w http.ResponseWriter, r *http.Request) error
	// Operation names the route in metrics and traces. Empty means that its requests count as "other" in metrics and
	// are not traced.
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

// Routes returns the routes of the router as "METHOD /path/:parameter".
func (server *Server) Routes() []string {
	var known []string
	for _, route := range server.echo.Routes() {
		known = append(known, route.Method+" "+route.Path)
	}
	return known
}

// methodsOf returns the methods of each path without parameters, separated by commas.
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

// headAsGet has HEAD answered as GET is: the same checks, status and fields (RFC 9110, section 9.3.2). net/http leaves out
// the body, because it knows the method that was sent.
func headAsGet(r *http.Request) *http.Request {
	if r.Method != http.MethodHead {
		return r
	}
	asGet := r.WithContext(r.Context())
	asGet.Method = http.MethodGet
	return asGet
}

// strictRouting refuses what the router matches too loosely. The router lets a parameter be empty, and lets the
// last parameter of a pattern hold slashes: 404. It also takes a concrete path of the spec as the parameter of
// another path if only that path has the method: 405 (OpenAPI, Path Templating Matching: concrete paths come
// first).
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

// fits reports whether path has the segments of pattern. A parameter must not be empty; * matches the rest.
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
