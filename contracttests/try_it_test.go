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
		for _, body := range form.bodies {
			came := owner.call(form.method, path, body, headers...)
			if came.status >= http.StatusBadRequest && (came.status != http.StatusNotFound || !strings.Contains(form.path, "{")) {
				t.Errorf("%s %s %s: %d %s", form.method, path, body, came.status, came.body)
			}
		}
	}
}

// tryForm is a form of the reference.
type tryForm struct {
	method, path string
	// inputs are what is filled in, by where it goes and its name.
	inputs map[[2]string]string
	// bodies are the examples of the body, or nil alone.
	bodies []any
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
				form.bodies = append(form.bodies, attribute(inner, "data-body"))
			case "textarea":
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
