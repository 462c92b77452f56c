package template

import (
	"fmt"
	"strings"
)

// SyntaxError reports why a source is not a template.
type SyntaxError struct {
	// Line is the line of the error, counted from 1.
	Line   int
	Detail string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Detail) }

// MissingError names variables that are reached and have no value.
type MissingError struct {
	// Names is sorted and holds each name once.
	Names []string
}

// maxNamed bounds how many names an error text repeats.
const maxNamed = 10

func (e *MissingError) Error() string {
	shown := e.Names[:min(len(e.Names), maxNamed)]
	text := "no value for " + strings.Join(shown, ", ")
	if more := len(e.Names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// LimitError reports that rendering would write or work too much.
type LimitError struct {
	Detail string
}

func (e *LimitError) Error() string { return e.Detail }

// ValueError reports that a value cannot be used where it stands.
type ValueError struct {
	// Name is the variable, with dots between the parts of a nested one. Empty means
	// the variables as a whole.
	Name   string
	Detail string
}

func (e *ValueError) Error() string {
	if e.Name == "" {
		return "the variables " + e.Detail
	}
	return fmt.Sprintf("the variable %s %s", e.Name, e.Detail)
}
