package contracttests

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// What /docs fills in can be executed as it is: only an id or address of the document, which names nothing here, is 404.
func TestExamplesOfDocsCanBeExecuted(t *testing.T) {
	t.Parallel()
	const domain = "mail.test"
	s := newStack(t, options{exampleDomain: domain})
	page := s.exchange(http.MethodGet, "/docs/", "", nil).is(http.StatusOK)
	root, err := html.Parse(strings.NewReader(string(page.body)))
	must(t, err)
	forms := formsIn(root)
	if all := operations(t); len(forms) != len(all) {
		t.Errorf("the page has %d forms for %d operations", len(forms), len(all))
	}
	for _, form := range forms {
		owner := s.newTenant()
		owner.verified(domain)
		path, headers := form.prefilled()
		if form.method == http.MethodPatch && !slices.Equal(form.media, []string{"application/json", mergePatchType}) {
			t.Errorf("%s can be sent as %q", form.path, form.media)
		}
		for _, request := range form.requests() {
			came := owner.call(form.method, path, request.body, append(slices.Clone(headers), request.header...)...)
			if came.status >= http.StatusBadRequest && (came.status != http.StatusNotFound || !strings.Contains(form.path, "{")) {
				t.Errorf("%s %s %s: %d %s", form.method, path, request.body, came.status, came.body)
			}
		}
	}
}

// tryForm is a form of the reference.
type tryForm struct {
	method, path string
	// inputs are what is filled in, by where it goes and its name.
	inputs map[[2]string]string
	// bodies are the examples of the body, or nil alone; media are the types that a body can be sent as.
	bodies []any
	media  []string
}

// tryRequest is a body with the header that tells its type.
type tryRequest struct {
	body   any
	header []string
}

// requests returns every example of a body in every type that it can be sent as.
func (form tryForm) requests() []tryRequest {
	var all []tryRequest
	for _, body := range form.bodies {
		if body == nil {
			all = append(all, tryRequest{})
		}
		for _, media := range form.media {
			all = append(all, tryRequest{body, []string{"Content-Type", media}})
		}
	}
	return all
}

func formsIn(root *html.Node) []tryForm {
	var found []tryForm
	for node := range root.Descendants() {
		if node.Data != "form" {
			continue
		}
		form := tryForm{method: attribute(node, "data-method"), path: attribute(node, "data-path"), inputs: map[[2]string]string{}}
		for inner := range node.Descendants() {
			switch inner.Data {
			case "input":
				if in := attribute(inner, "data-in"); in != "" {
					form.inputs[[2]string{in, attribute(inner, "name")}] = attribute(inner, "value")
				}
			case "option":
				if attribute(inner.Parent, "name") == "type" {
					form.media = append(form.media, inner.FirstChild.Data)
					continue
				}
				form.bodies = append(form.bodies, attribute(inner, "data-body"))
			case "textarea":
				if len(form.media) == 0 {
					form.media = []string{attribute(inner, "data-type")}
				}
				if len(form.bodies) == 0 {
					form.bodies = []any{inner.FirstChild.Data}
				}
			}
		}
		if len(form.bodies) == 0 {
			form.bodies = []any{nil}
		}
		found = append(found, form)
	}
	return found
}

func attribute(node *html.Node, name string) string {
	for _, one := range node.Attr {
		if one.Key == name {
			return one.Val
		}
	}
	return ""
}

// prefilled returns the path with its query, and the headers, of what the form fills in.
func (form tryForm) prefilled() (path string, headers []string) {
	path = form.path
	query := url.Values{}
	byName := func(a, b [2]string) int { return cmp.Compare(a[1], b[1]) }
	for _, input := range slices.SortedFunc(maps.Keys(form.inputs), byName) {
		value := form.inputs[input]
		switch {
		case input[0] == "path":
			path = strings.ReplaceAll(path, "{"+input[1]+"}", url.PathEscape(value))
		case value == "":
		case input[0] == "query":
			query.Set(input[1], value)
		default:
			headers = append(headers, input[1], value)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path, headers
}

// A parameter that narrows, or that belongs to one request alone, has no example: pages fill in every example.
func TestOptionalParametersHaveNoExample(t *testing.T) {
	t.Parallel()
	doc := document(t)
	for _, op := range operationsOf(doc) {
		for _, parameter := range slices.Concat(doc.Paths.Value(op.path).Parameters, op.spec.Parameters) {
			required, found := parameter.Value.Required, parameter.Value.Example != nil
			if required != found && parameter.Value.Name != "limit" {
				t.Errorf("%s: %s is required: %t, and has an example: %t", op.id, parameter.Value.Name, required, found)
			}
		}
	}
}
