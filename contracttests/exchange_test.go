package contracttests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/voostack/mailstack/gen/api"
)

// recorder is the transport of every test: it compares each exchange with the spec and counts it.
type recorder struct {
	next     http.RoundTripper
	contract *contract
	ledger   *ledger
}

// observer is the test that receives an exchange.
type observer struct {
	t    testing.TB
	seen *exchange
}

type observerKey struct{}

// RoundTrip makes an exchange and judges it. A fault fails the test that the request belongs to.
func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := &carbon{}
	outgoing := request.Clone(request.Context())
	if request.Body != nil && request.Body != http.NoBody {
		sent.ReadCloser = request.Body
		outgoing.Body = sent
	}
	response, err := r.next.RoundTrip(outgoing)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	happened := exchange{request, sent.bytes(), response.StatusCode, response.Header.Clone(), body}
	if observer, observed := request.Context().Value(observerKey{}).(observer); observed {
		*observer.seen = happened
		r.judge(observer.t, happened)
	}
	return response, nil
}

// judge fails the test when the spec does not describe the response, or does not allow a request that was accepted.
func (r *recorder) judge(t testing.TB, x exchange) {
	t.Helper()
	err := r.contract.checkAnswer(x)
	r.ledger.count(r.contract, x, err)
	if err != nil {
		t.Errorf("%s %.200s: answer %d breaks the document: %v\n%s", x.request.Method, x.request.URL.Path, x.status, err, x.body)
	}
	if x.status >= http.StatusOK && x.status < http.StatusMultipleChoices {
		if err := r.contract.checkRequest(x); err != nil {
			t.Errorf("%s %.200s: accepted with %d, and breaks the document: %v", x.request.Method, x.request.URL.Path, x.status, err)
		}
	}
}

// carbon keeps what is read of a body. A response may arrive before the whole body was read.
type carbon struct {
	io.ReadCloser
	mutex sync.Mutex
	read  bytes.Buffer
}

func (c *carbon) Read(into []byte) (int, error) {
	n, err := c.ReadCloser.Read(into)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.read.Write(into[:n])
	return n, err
}

func (c *carbon) bytes() []byte {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return bytes.Clone(c.read.Bytes())
}

// answer is a response.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
	// seen is the whole exchange, as the transport recorded it.
	seen exchange
}

// exchange sends a request and compares its response with the spec. A string, bytes or a reader is sent as it
// is, any other value as JSON.
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
	var seen exchange
	request = request.WithContext(context.WithValue(request.Context(), observerKey{}, observer{s.t, &seen}))
	response, err := s.http.Do(request)
	must(s.t, err)
	defer func() { _ = response.Body.Close() }()
	received, err := io.ReadAll(response.Body)
	must(s.t, err)
	return answer{s.t, response.StatusCode, response.Header, received, seen}
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
	case io.Reader:
		return body
	default:
		encoded, err := json.Marshal(body)
		must(t, err)
		return bytes.NewReader(encoded)
	}
}

// is fails the test unless the response has the status.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("answered %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// problem fails the test unless the response is this problem, and returns it.
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

// pointers returns the members that the problem names.
func pointers(found api.Problem) []string {
	var named []string
	for _, one := range found.Errors {
		named = append(named, one.Pointer)
	}
	slices.Sort(named)
	return named
}

// decoded decodes the body of a response.
func decoded[T any](a answer) T {
	a.t.Helper()
	var value T
	if err := json.Unmarshal(a.body, &value); err != nil {
		a.t.Fatalf("body is not %T: %v: %s", value, err, a.body)
	}
	return value
}
