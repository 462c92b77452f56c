package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/voostack/mailstack/gen/api"
)

// route is one operation of the spec.
type route struct {
	method    string
	segments  []string
	operation string
}

// documentedRoutes returns the operations, those with fewer parameters first, because they take precedence.
func documentedRoutes() ([]route, error) {
	document, err := api.GetSpec()
	if err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
	}
	var routes []route
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			routes = append(routes, route{method, strings.Split(path, "/"), operation.OperationID})
		}
	}
	slices.SortFunc(routes, func(a, b route) int {
		return strings.Count(strings.Join(a.segments, "/"), "{") - strings.Count(strings.Join(b.segments, "/"), "{")
	})
	return routes, nil
}

func (r route) serves(request *http.Request) bool {
	segments := strings.Split(request.URL.Path, "/")
	if request.Method != r.method || len(segments) != len(r.segments) {
		return false
	}
	for i, segment := range r.segments {
		if segment != segments[i] && !strings.HasPrefix(segment, "{") {
			return false
		}
	}
	return true
}

// recorder records which operations a runner called, so that it cannot claim a step that it did not take.
type recorder struct {
	routes []route

	mutex      sync.Mutex
	operations []string
}

// before records each request and passes it on.
func (r *recorder) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		operation := request.Method + " " + request.URL.Path
		if i := slices.IndexFunc(r.routes, func(one route) bool { return one.serves(request) }); i >= 0 {
			operation = r.routes[i].operation
		}
		r.mutex.Lock()
		r.operations = append(r.operations, operation)
		r.mutex.Unlock()
		next.ServeHTTP(w, request)
	})
}

// check compares the calls with the operations of the steps. Repeated reads of a message count as one call.
func (r *recorder) check(expected []string) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	called, wanted := withoutPolls(r.operations), withoutPolls(expected)
	if !slices.Equal(called, wanted) {
		return fmt.Errorf("the operations called are %s, in the scenario %s", called, wanted)
	}
	return nil
}

func withoutPolls(operations []string) []string {
	var kept []string
	for i, operation := range operations {
		if operation == "getEmail" && i > 0 && operations[i-1] == operation {
			continue
		}
		kept = append(kept, operation)
	}
	return kept
}
