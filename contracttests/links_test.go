package contracttests

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// link leads from a response of an operation to a request of another.
type link struct {
	from, to operation
	name     string
	// status is the response's.
	status string
	// parameters maps the names of the target's parameters to runtime expressions.
	parameters map[string]string
}

func (l link) String() string { return fmt.Sprintf("%s %s: %s", l.from.id, l.status, l.name) }

// nextPage reports whether the link leads from a page of a list to the next one.
func (l link) nextPage() bool { return l.name == "next" }

// linksOf returns the links of an operation: what changes a resource, which enables a webhook, comes first, and what removes
// it last.
func linksOf(t *testing.T, from operation, all map[string]operation) []link {
	t.Helper()
	var found []link
	for status, response := range from.spec.Responses.Map() {
		for name, given := range response.Value.Links {
			made := link{from: from, to: all[given.Value.OperationID], name: name, status: status, parameters: map[string]string{}}
			if made.to.id == "" {
				t.Errorf("%s: there is no operation %q", made, given.Value.OperationID)
				continue
			}
			for parameter, expression := range given.Value.Parameters {
				made.parameters[parameter] = fmt.Sprint(expression)
			}
			found = append(found, made)
		}
	}
	order := []string{http.MethodPatch, http.MethodGet, http.MethodPost, http.MethodDelete}
	slices.SortFunc(found, func(a, b link) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.to.method), slices.Index(order, b.to.method)), cmp.Compare(a.name, b.name))
	})
	return found
}

func operationsByID(t *testing.T) map[string]operation {
	t.Helper()
	all := map[string]operation{}
	for _, op := range operations(t) {
		all[op.id] = op
	}
	return all
}

// variablesOf returns the names of a path's parameters.
func variablesOf(path string) []string {
	var names []string
	for _, part := range strings.Split(path, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		names = append(names, name)
	}
	return names
}

// A client, or a stateful test, reaches everything below a path from what creates it and from what lists it.
func TestLinksReachEveryOperation(t *testing.T) {
	t.Parallel()
	all := operationsByID(t)
	reached := map[string]bool{}
	for _, from := range all {
		found := linksOf(t, from, all)
		for _, one := range found {
			reached[one.to.id] = reached[one.to.id] || !one.nextPage()
			want := variablesOf(one.to.path)
			if one.nextPage() {
				for _, parameter := range one.to.spec.Parameters {
					want = append(want, parameter.Value.Name)
				}
			}
			if got := slices.Sorted(maps.Keys(one.parameters)); !slices.Equal(slices.Sorted(slices.Values(want)), got) {
				t.Errorf("%s gives %q of the parameters %q", one, got, want)
			}
		}
		created := from.method == http.MethodPost && (from.spec.Responses.Value("201") != nil || from.spec.Responses.Value("202") != nil)
		leads := created && from.id != "replayWebhookDelivery" || strings.HasPrefix(from.id, "list")
		if leads != (len(found) > 0) {
			t.Errorf("%s has %d links", from.id, len(found))
		}
	}
	for id, op := range all {
		if named(op) && !reached[id] {
			t.Errorf("no link leads to %s", id)
		}
	}
}

// An expression names a member that is always there, or there in the first item, of the type that the parameter has. The
// cursor of the last page is null, and its link leads nowhere.
func TestLinksLeadIntoTheirResponses(t *testing.T) {
	t.Parallel()
	all := operationsByID(t)
	for _, from := range all {
		for _, one := range linksOf(t, from, all) {
			for name, expression := range one.parameters {
				wanted := cmp.Or(parameterOf(t, one.to, "path", name), parameterOf(t, one.to, "query", name))
				if wanted == nil {
					t.Errorf("%s: %s has no parameter %q", one, one.to.id, name)
					continue
				}
				want := wanted.Schema.Value
				if in, variable, found := requestParameter(expression); found {
					if parameterOf(t, from, in, variable) == nil {
						t.Errorf("%s: the %s of %s has no %q", one, in, from.id, variable)
					}
					continue
				}
				pointer, found := strings.CutPrefix(expression, "$response.body#/")
				if !found {
					t.Errorf("%s: %q is no expression that is known here", one, expression)
					continue
				}
				schema := from.spec.Responses.Value(one.status).Value.Content.Get("application/json").Schema.Value
				got, err := schemaAt(schema, pointer)
				if err != nil {
					t.Errorf("%s: %s: %v", one, expression, err)
				} else if got.Nullable != one.nextPage() || got.Type.Slice()[0] != want.Type.Slice()[0] || got.Format != "" && got.Format != want.Format {
					t.Errorf("%s: %s is a %v %q, and %s a %v %q", one, expression, got.Type.Slice(), got.Format, name, want.Type.Slice(), want.Format)
				}
			}
		}
	}
}

// parameterOf returns a parameter of an operation, or nil.
func parameterOf(t *testing.T, op operation, in, name string) *openapi3.Parameter {
	t.Helper()
	return cmp.Or(document(t).Paths.Value(op.path).Parameters.GetByInAndName(in, name), op.spec.Parameters.GetByInAndName(in, name))
}

// requestParameter reads an expression that names a parameter of the request.
func requestParameter(expression string) (in, name string, found bool) {
	rest, found := strings.CutPrefix(expression, "$request.")
	in, name, dotted := strings.Cut(rest, ".")
	return in, name, found && dotted
}

func schemaAt(schema *openapi3.Schema, pointer string) (*openapi3.Schema, error) {
	for _, step := range strings.Split(pointer, "/") {
		for _, part := range schema.AllOf {
			if part.Value.Properties[step] != nil {
				schema = part.Value
			}
		}
		switch {
		case schema.Items != nil && step == "0":
			schema = schema.Items.Value
		case schema.Properties[step] != nil:
			schema = schema.Properties[step].Value
		default:
			return nil, fmt.Errorf("there is no %q", step)
		}
	}
	return schema, nil
}

// Every link is followed: what a response says leads to a request that succeeds.
func TestLinksCanBeFollowed(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	all := operationsByID(t)
	for _, from := range slices.SortedFunc(maps.Values(all), func(a, b operation) int { return strings.Compare(a.id, b.id) }) {
		found := slices.DeleteFunc(linksOf(t, from, all), link.nextPage)
		if len(found) == 0 {
			continue
		}
		owner, sender := s.newSender()
		w := newScene(t, s, owner.key, sender, s.clock.now().Add(time.Hour))
		w.furnish()
		asked := w.succeeding(from)
		came := w.ask(s, from, asked, 0)
		if strconv.Itoa(came.status) != found[0].status {
			t.Fatalf("%s: %d %s", from.id, came.status, came.body)
		}
		for _, one := range found {
			path := one.to.path
			for name, expression := range one.parameters {
				value := evaluated(t, expression, asked, came)
				if value == "" {
					t.Fatalf("%s: %s names nothing in %s", one, expression, came.body)
				}
				path = strings.ReplaceAll(path, "{"+name+"}", value)
			}
			if got := owner.call(one.to.method, path, w.succeeding(one.to).body); got.status >= http.StatusMultipleChoices {
				t.Errorf("%s: %s %s: %d %s", one, one.to.method, path, got.status, got.body)
			}
		}
	}
}

// evaluated returns what an expression names in a request and its response: empty for null, and for a parameter of the query
// that was left out.
func evaluated(t *testing.T, expression string, asked request, came answer) string {
	t.Helper()
	if in, name, found := requestParameter(expression); found {
		if in == "path" {
			return asked.id
		}
		query, err := url.ParseQuery(strings.TrimPrefix(asked.query, "?"))
		must(t, err)
		return query.Get(name)
	}
	var value any
	must(t, json.Unmarshal(came.body, &value))
	for _, step := range strings.Split(strings.TrimPrefix(expression, "$response.body#/"), "/") {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[step]
		case []any:
			place, err := strconv.Atoi(step)
			must(t, err)
			if place >= len(inner) {
				t.Fatalf("%s: there are %d items in %s", expression, len(inner), came.body)
			}
			value = inner[place]
		}
	}
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
