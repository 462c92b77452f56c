package template

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cbroglie/mustache"
)

// maxSteps is how many tags and list items one rendering may reach. It bounds
// the time of nested sections over long lists, which can take minutes without
// writing anything. 200,000 steps, far more than a mail needs, stay below half a
// second.
const maxSteps = 200000

// walk goes through a template as the library will render it, with the same rules
// of lookup and truth. It finds in advance what is missing, what cannot be
// printed and what rendering costs.
type walk struct {
	steps   int
	most    int
	missing map[string]bool
	wrong   *ValueError
}

func (w *walk) run(tags []mustache.Tag, chain []any) {
	for _, tag := range tags {
		if w.steps++; w.steps > w.most {
			return
		}
		switch tag.Type() {
		case mustache.Variable:
			w.variable(tag.Name(), chain)
		case mustache.Section:
			w.section(tag, chain)
		case mustache.InvertedSection:
			if isFalse(lookup(chain, tag.Name())) {
				w.run(tag.Tags(), push(chain, chain[0]))
			}
		}
	}
}

func (w *walk) variable(name string, chain []any) {
	switch lookup(chain, name).(type) {
	case nil:
		w.missing[name] = true
	case map[string]any, []any:
		if w.wrong == nil {
			w.wrong = &ValueError{Name: name, Detail: "is a list or an object, which needs a section to be shown"}
		}
	}
}

func (w *walk) section(tag mustache.Tag, chain []any) {
	value := lookup(chain, tag.Name())
	if isFalse(value) {
		return
	}
	items, isList := value.([]any)
	if !isList {
		items = []any{value}
	}
	inner := push(chain, nil)
	for _, item := range items {
		if w.steps++; w.steps > w.most {
			return
		}
		inner[0] = item
		w.run(tag.Tags(), inner)
	}
}

func (w *walk) err() error {
	switch {
	case w.steps > w.most && w.most < maxSteps:
		return &LimitError{Detail: fmt.Sprintf("rendering all of the request takes more than %d steps", requestSteps)}
	case w.steps > w.most:
		return &LimitError{Detail: fmt.Sprintf("rendering takes more than %d steps", maxSteps)}
	case w.wrong != nil:
		return w.wrong
	case len(w.missing) > 0:
		return &MissingError{Names: w.missingNames()}
	}
	return nil
}

func (w *walk) missingNames() []string { return sortedNames(w.missing) }

func push(chain []any, value any) []any {
	return append([]any{value}, chain...)
}

// lookup finds the first part of a dotted name from the innermost context
// outwards, and the rest of the name only there. The innermost context that has
// the name decides, even if its value is null.
func lookup(chain []any, name string) any {
	if name == "." {
		return chain[0]
	}
	first, rest, dotted := strings.Cut(name, ".")
	for _, context := range chain {
		object, isObject := context.(map[string]any)
		if !isObject {
			continue
		}
		value, has := object[first]
		if !has {
			continue
		}
		if dotted {
			return lookup([]any{value}, rest)
		}
		return value
	}
	return nil
}

// isFalse reports whether a section with this value is left out.
func isFalse(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case int:
		return v == 0
	case string:
		return strings.TrimSpace(v) == ""
	case []any:
		return len(v) == 0
	}
	return false
}

// names collects what the tags refer to.
func names(tags []mustache.Tag, into map[string]bool) {
	for _, tag := range tags {
		if tag.Name() != "." {
			into[tag.Name()] = true
		}
		if tag.Type() == mustache.Section || tag.Type() == mustache.InvertedSection {
			names(tag.Tags(), into)
		}
	}
}

func sortedNames(set map[string]bool) []string {
	sorted := make([]string, 0, len(set))
	for name := range set {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}
