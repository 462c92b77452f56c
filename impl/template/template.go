package template

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cbroglie/mustache"
)

// Part is the part of a message that a template makes.
type Part int

// The parts. Values are escaped in HTML and verbatim in the others.
const (
	Subject Part = iota
	HTML
	Text
)

// Template is a parsed source. It is safe for concurrent use.
type Template struct {
	parsed *mustache.Template
	tags   []mustache.Tag
}

// Parse reads the source of one part. The error is a [*SyntaxError]: a tag
// that is not closed or not supported, more than 10,000 tags, sections nested
// more than 16 levels deep.
func Parse(part Part, source string) (*Template, error) {
	if err := checkSyntax(part, source); err != nil {
		return nil, err
	}
	parsed, err := mustache.ParseStringPartialsRaw(source, noPartials{}, part != HTML)
	if err != nil {
		return nil, syntaxError(err)
	}
	return &Template{parsed: parsed, tags: parsed.Tags()}, nil
}

func syntaxError(err error) *SyntaxError {
	var parse mustache.ParseError
	if !errors.As(err, &parse) {
		return &SyntaxError{Line: 1, Detail: err.Error()}
	}
	switch parse.Code {
	case mustache.ErrSectionNoClosingTag:
		return &SyntaxError{Line: parse.Line, Detail: fmt.Sprintf("the section %q is not closed", parse.Reason)}
	case mustache.ErrInterleavedClosingTag:
		return &SyntaxError{Line: parse.Line, Detail: fmt.Sprintf("the closing tag %q belongs to no open section", parse.Reason)}
	case mustache.ErrUnmatchedCloseTag:
		return &SyntaxError{Line: parse.Line, Detail: "a closing tag belongs to no open section"}
	default:
		return &SyntaxError{Line: parse.Line, Detail: "the template cannot be read"}
	}
}

// noPartials replaces the library's own provider, which reads files.
type noPartials struct{}

func (noPartials) Get(string) (string, error) {
	return "", errors.New("partials are not supported")
}

// Placeholders returns the names of all variables and sections, reached or not,
// sorted, each once.
func (t *Template) Placeholders() []string {
	found := map[string]bool{}
	names(t.tags, found)
	return sortedNames(found)
}

// Missing returns the variables that rendering would reach and that have no
// value, sorted, each once. It is empty for variables that cannot be rendered for
// another reason, which [Template.Render] returns.
func (t *Template) Missing(variables map[string]any) []string {
	values, err := normalize(variables)
	if err != nil {
		return nil
	}
	return t.walk(values, maxSteps).missingNames()
}

func (t *Template) walk(values map[string]any, most int) *walk {
	w := &walk{missing: map[string]bool{}, most: most}
	w.run(t.tags, []any{values})
	return w
}

// Render fills in the variables. The result has at most limit octets. The
// error is a [*ValueError] for values that cannot be used, a [*MissingError]
// for variables that are reached without a value, and a [*LimitError] for a
// result that is too long or takes too much work.
//
// The steps are taken from budget, which all parts of a request share; nil means that the part has one of its own.
func (t *Template) Render(variables map[string]any, limit int, budget *Budget) (string, error) {
	values, err := normalize(variables)
	if err != nil {
		return "", err
	}
	walked := t.walk(values, budget.remaining())
	budget.spend(walked.steps)
	if err := walked.err(); err != nil {
		return "", err
	}
	return t.write(values, limit)
}

// Preview renders as [Template.Render] does, but leaves reached variables without
// a value empty. It returns their names, sorted, each once.
func (t *Template) Preview(variables map[string]any, limit int) (string, []string, error) {
	values, err := normalize(variables)
	if err != nil {
		return "", nil, err
	}
	walked := t.walk(values, maxSteps)
	var missing *MissingError
	if err := walked.err(); err != nil && !errors.As(err, &missing) {
		return "", nil, err
	}
	// The library prints null as Go does.
	blank(values)
	rendered, err := t.write(values, limit)
	if err != nil {
		return "", nil, err
	}
	return rendered, walked.missingNames(), nil
}

func (t *Template) write(values map[string]any, limit int) (string, error) {
	out := limited{left: limit}
	if err := t.parsed.FRender(&out, values); err != nil && !out.full {
		return "", fmt.Errorf("render: %w", err)
	}
	if out.full {
		return "", &LimitError{Detail: fmt.Sprintf("the rendered text is longer than %d octets", limit)}
	}
	return out.text.String(), nil
}

var errFull = errors.New("limit reached")

// limited is a writer that refuses what goes beyond a limit and everything after
// it. It records the refusal, because the library ignores errors when it writes a
// variable and stops only at the text that follows.
type limited struct {
	text strings.Builder
	left int
	full bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.full || len(p) > l.left {
		l.full = true
		return 0, errFull
	}
	l.left -= len(p)
	return l.text.Write(p)
}
