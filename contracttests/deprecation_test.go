package contracttests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/impl/spec"
)

// deprecating returns openapi.yaml with something deprecated after each of the lines, with the dates of each.
func deprecating(t *testing.T, dates map[string][2]string) string {
	t.Helper()
	source, err := os.ReadFile("../openapi.yaml")
	must(t, err)
	changed := string(source)
	for after, of := range dates {
		line := after[strings.LastIndex(after, "\n")+1:]
		indentation := line[:len(line)-len(strings.TrimLeft(line, " -"))]
		if strings.HasSuffix(line, ":") {
			indentation += "  "
		}
		added := "\ndeprecated: true\nx-deprecated-since: \"" + of[0] + "\"\nx-sunset: \"" + of[1] + "\""
		if strings.Count(changed, after+"\n") != 1 {
			t.Fatalf("%q is not one place of the document", after)
		}
		changed = strings.Replace(changed, after, after+strings.ReplaceAll(added, "\n", "\n"+strings.ReplaceAll(indentation, "-", " ")), 1)
	}
	return changed
}

const (
	deprecatedOperation = "      operationId: getUsage"
	deprecatedParameter = "        - name: tag"
	deprecatedProperty  = "additionalProperties: false\n      required: [from, to, subject]\n      properties:\n        from:"
)

// What a request uses that is deprecated is in the header of every answer to it, with the earliest dates.
func TestDeprecationsAreAnnounced(t *testing.T) {
	t.Parallel()
	operation, parameter, member := [2]string{"2026-12-01", "2027-06-30"}, [2]string{"2027-01-01", "2027-07-01"}, [2]string{"2026-11-01", "2028-01-01"}
	s := newStack(t, options{document: deprecating(t, map[string][2]string{deprecatedOperation: operation, deprecatedParameter: parameter, deprecatedProperty: member})})
	owner, from := s.newSender()
	ask := func(method, path, key, body string) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		s.server.ServeHTTP(answer, request)
		return answer
	}
	batch := asText(t, batchOf(email(from)))
	for _, asked := range []struct {
		method, path, key, body string
		status                  int
		want                    *[2]string
	}{
		{http.MethodGet, "/v1/billing/usage", owner.key, "", http.StatusOK, &operation},
		{http.MethodGet, "/v1/billing/usage", "none", "", http.StatusUnauthorized, &operation},
		{http.MethodGet, "/v1/billing/usage?x=1", owner.key, "", http.StatusBadRequest, &operation},
		{http.MethodGet, "/v1/emails?tag=welcome", owner.key, "", http.StatusOK, &parameter},
		{http.MethodGet, "/v1/emails", owner.key, "", http.StatusOK, nil},
		{http.MethodPost, singlePath, owner.key, asText(t, email(from)), http.StatusAccepted, &member},
		{http.MethodPost, batchPath, owner.key, batch, http.StatusAccepted, &member},
		{http.MethodPost, singlePath, owner.key, `{"to":"user@example.com"}`, http.StatusBadRequest, nil},
		{http.MethodGet, "/v1/domains", owner.key, "", http.StatusOK, nil},
	} {
		answer := ask(asked.method, asked.path, asked.key, asked.body)
		header := answer.Header()
		got := [3]string{header.Get("Deprecation"), header.Get("Sunset"), header.Get("Link")}
		var want [3]string
		if asked.want != nil {
			want = fields(t, *asked.want)
		}
		if answer.Code != asked.status || got != want {
			t.Errorf("%s %s: %d with %q, want %d with %q", asked.method, asked.path, answer.Code, got, asked.status, want)
		}
	}
}

// fields returns Deprecation, Sunset and Link for dates.
func fields(t *testing.T, dates [2]string) [3]string {
	t.Helper()
	since, err := time.Parse(time.DateOnly, dates[0])
	must(t, err)
	sunset, err := time.Parse(time.DateOnly, dates[1])
	must(t, err)
	return [3]string{fmt.Sprintf("@%d", since.Unix()), sunset.Format(http.TimeFormat), `</docs/versioning>; rel="deprecation"; type="text/html"`}
}

// A server does not start with a deprecation that breaks the policy.
func TestServerRefusesABrokenDeprecation(t *testing.T) {
	t.Parallel()
	must(t, start(deprecating(t, map[string][2]string{deprecatedOperation: {"2026-12-01", "2027-06-01"}})))
	for _, place := range []string{deprecatedOperation, deprecatedParameter, deprecatedProperty} {
		whole := deprecating(t, map[string][2]string{place: {"2026-12-01", "2027-05-31"}})
		broken := map[string]string{"less than six months": whole}
		if place == deprecatedOperation {
			broken["no end"] = strings.Replace(whole, "x-sunset", "x-end", 1)
			broken["no beginning"] = strings.Replace(whole, "x-deprecated-since", "x-since", 1)
			broken["not deprecated"] = strings.NewReplacer("deprecated: true", "deprecated: false", "2027-05-31", "2027-06-30").Replace(whole)
			broken["no date"] = strings.Replace(whole, "2027-05-31", "next year", 1)
		}
		for what, document := range broken {
			if start(document) == nil {
				t.Errorf("%s: the server started", what)
			}
		}
	}
}

// Everything that is deprecated has both dates, six months apart and in its description, and what an operation's requests can
// use is announced in headers that every answer lists.
func TestDeprecationsAreWhole(t *testing.T) {
	t.Parallel()
	for _, fault := range deprecationFaults(t, document(t)) {
		t.Error(fault)
	}
	doc, err := readSpec([]byte(deprecating(t, map[string][2]string{deprecatedOperation: {"2026-12-01", "2027-05-31"}})))
	must(t, err)
	// The dates, the description, and three headers of every answer.
	if faults := deprecationFaults(t, doc); len(faults) < 3 {
		t.Errorf("a deprecation without anything else has only the faults %q", faults)
	}
}

func deprecationFaults(t *testing.T, doc *openapi3.T) []string {
	t.Helper()
	encoded, err := json.Marshal(doc)
	must(t, err)
	var whole any
	must(t, json.Unmarshal(encoded, &whole))
	var faults []string
	visitMembers("", map[string]any{"": whole}, func(path, name string, value any) {
		object, isObject := value.(map[string]any)
		if !isObject || object["deprecated"] == nil && object["x-deprecated-since"] == nil && object["x-sunset"] == nil {
			return
		}
		at := path + "/" + name
		since, sinceErr := time.Parse(time.DateOnly, fmt.Sprint(object["x-deprecated-since"]))
		sunset, sunsetErr := time.Parse(time.DateOnly, fmt.Sprint(object["x-sunset"]))
		if object["deprecated"] != true || sinceErr != nil || sunsetErr != nil || sunset.Before(since.AddDate(0, spec.DeprecationMonths, 0)) {
			faults = append(faults, fmt.Sprintf("%s: deprecated %v, from %v to %v", at, object["deprecated"], object["x-deprecated-since"], object["x-sunset"]))
		}
		said := fmt.Sprint(object["description"])
		if !strings.Contains(said, "Deprecated since "+since.Format(time.DateOnly)) || !strings.Contains(said, "ends on "+sunset.Format(time.DateOnly)) {
			faults = append(faults, at+`: the description does not say "Deprecated since … ends on …"`)
		}
	})
	for _, op := range operationsOf(doc) {
		if !usesDeprecated(doc, op) {
			continue
		}
		for status, response := range op.spec.Responses.Map() {
			for _, name := range []string{"Deprecation", "Sunset", "Link"} {
				if response.Value.Headers[name] == nil {
					faults = append(faults, fmt.Sprintf("%s %s: no header %s", op.id, status, name))
				}
			}
		}
	}
	return faults
}

// usesDeprecated reports whether requests of an operation can use something deprecated.
func usesDeprecated(doc *openapi3.T, op operation) bool {
	found := op.spec.Deprecated
	for _, parameters := range []openapi3.Parameters{doc.Paths.Value(op.path).Parameters, op.spec.Parameters} {
		for _, parameter := range parameters {
			found = found || parameter.Value.Deprecated
		}
	}
	if op.spec.RequestBody != nil {
		for _, media := range op.spec.RequestBody.Value.Content {
			walk(op.id, media.Schema, func(_ string, schema *openapi3.Schema) { found = found || schema.Deprecated })
		}
	}
	return found
}
