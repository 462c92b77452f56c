package contracttests

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/voostack/mailstack/gen/api"
)

// answers holds answers against the document. Its copy is closed: a member that the document does not list fails.
type answers struct{ router routers.Router }

func loadAnswers(t testing.TB) *answers {
	t.Helper()
	source, err := os.ReadFile("../openapi.yaml")
	must(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(source)
	must(t, err)
	doc.Servers = nil
	for _, schema := range doc.Components.Schemas {
		if schema.Value.Type.Is("object") {
			schema.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: new(bool)}
		}
	}
	router, err := gorillamux.NewRouter(doc)
	must(t, err)
	return &answers{router: router}
}

// check fails the test for an answer that the document does not describe. Paths outside the document are not its
// business.
func (a *answers) check(t testing.TB, request *http.Request, response *http.Response, body []byte) {
	t.Helper()
	if response.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: answer without X-Request-Id", request.Method, request.URL.Path)
	}
	if response.StatusCode == http.StatusInternalServerError {
		t.Errorf("%s %s: 500: %s", request.Method, request.URL.Path, body)
	}
	route, parameters, err := a.router.FindRoute(request)
	if err != nil {
		return
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request, PathParams: parameters, Route: route,
		},
		Status: response.StatusCode, Header: response.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s %s: answer %d breaks the document: %v\n%s",
			request.Method, request.URL.Path, response.StatusCode, err, body)
	}
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// exchange sends a request and holds its answer against the document. A body that is a string or bytes is sent as it
// is, anything else as JSON.
func (s *stack) exchange(method, path, key string, body any, headers ...string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, reader(s.t, body))
	must(s.t, err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return s.do(request)
}

func (s *stack) do(request *http.Request) answer {
	s.t.Helper()
	response, err := s.http.Do(request)
	must(s.t, err)
	defer func() { _ = response.Body.Close() }()
	received, err := io.ReadAll(response.Body)
	must(s.t, err)
	s.answers.check(s.t, request, response, received)
	return answer{s.t, response.StatusCode, response.Header, received}
}

func reader(t testing.TB, body any) io.Reader {
	t.Helper()
	switch body := body.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(body)
	case []byte:
		return bytes.NewReader(body)
	default:
		encoded, err := json.Marshal(body)
		must(t, err)
		return bytes.NewReader(encoded)
	}
}

// is fails the test unless the answer has the status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("answered %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// problem fails the test unless the answer is this problem, and returns it.
func (a answer) problem(status int, code api.ProblemCode) api.Problem {
	a.t.Helper()
	a.is(status)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Fatalf("a problem came as %q", got)
	}
	found := decoded[api.Problem](a)
	if found.Code != code || found.Status != status || found.Type != "/problems/"+string(code) ||
		found.RequestID != a.header.Get("X-Request-Id") {
		a.t.Fatalf("problem is %+v, want code %s", found, code)
	}
	return found
}

// pointers are the members that the problem names.
func pointers(found api.Problem) []string {
	var named []string
	for _, one := range found.Errors {
		named = append(named, one.Pointer)
	}
	slices.Sort(named)
	return named
}

// decoded reads the body of an answer.
func decoded[T any](a answer) T {
	a.t.Helper()
	var value T
	if err := json.Unmarshal(a.body, &value); err != nil {
		a.t.Fatalf("body is not %T: %v: %s", value, err, a.body)
	}
	return value
}
