package template

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	openTag  = "{{"
	closeTag = "}}"
	// maxTags bounds the memory of a parsed source, and what one rendering
	// without lists can cost.
	maxTags = 10000
	// maxSections is how deep sections may be nested.
	maxSections = 16
)

// scanner checks every tag of a source before the library sees it. It finds
// tags by the library's own rule, which is simple as long as nothing changes
// the delimiters: from {{ to the next }}, from {{{ to the next }}}.
type scanner struct {
	part  Part
	line  int
	tags  int
	depth int
}

func checkSyntax(part Part, source string) error {
	s := scanner{part: part, line: 1}
	for {
		text, rest, found := strings.Cut(source, openTag)
		s.line += strings.Count(text, "\n")
		if !found {
			return nil
		}
		end := closeTag
		if strings.HasPrefix(rest, "{") {
			end = "}" + closeTag
		}
		inside, after, closed := strings.Cut(rest, end)
		if !closed {
			return s.fail("a tag is not closed: %s is missing", end)
		}
		tag := inside + strings.TrimSuffix(end, closeTag)
		if err := s.tag(strings.TrimSpace(tag)); err != nil {
			return err
		}
		s.line += strings.Count(inside, "\n")
		source = after
	}
}

func (s *scanner) fail(format string, args ...any) error {
	return &SyntaxError{Line: s.line, Detail: fmt.Sprintf(format, args...)}
}

func (s *scanner) tag(tag string) error {
	if s.tags++; s.tags > maxTags {
		return s.fail("there are more than %d tags", maxTags)
	}
	if tag == "" {
		return s.fail("a tag is empty")
	}
	switch tag[0] {
	case '!':
		return nil
	case '>', '<':
		return s.fail("partials are not supported")
	case '=':
		return s.fail("the delimiters cannot be changed")
	case '#', '^':
		if s.depth++; s.depth > maxSections {
			return s.fail("sections are nested more than %d levels deep", maxSections)
		}
		return s.name(tag[1:])
	case '/':
		s.depth--
		return s.name(tag[1:])
	case '{', '&':
		return s.unescaped(tag)
	default:
		return s.name(tag)
	}
}

func (s *scanner) unescaped(tag string) error {
	if s.part == HTML {
		return s.fail("unescaped values are not allowed in html: write the name between two braces")
	}
	if tag[0] == '&' {
		return s.name(tag[1:])
	}
	name, closed := strings.CutSuffix(tag[1:], "}")
	if !closed {
		return s.fail("a tag that opens with three braces must close with three")
	}
	return s.name(name)
}

// name accepts names of members of the variables, with dots between the levels.
// Most of what it refuses is another template language, for which an error about
// a missing variable would be more puzzling.
func (s *scanner) name(name string) error {
	name = strings.TrimSpace(name)
	if name == "." {
		return nil
	}
	if len(name) > maxName {
		return s.fail("a name is longer than %d octets", maxName)
	}
	for segment := range strings.SplitSeq(name, ".") {
		if segment == "" || segment != strings.TrimSpace(segment) {
			return s.fail("%q is not a name", name)
		}
	}
	for _, r := range name {
		if r == utf8.RuneError || !isNameCharacter(r) {
			return s.fail("%q is not a name: %q is not allowed in it", name, r)
		}
	}
	return nil
}

func isNameCharacter(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune(" ._-$@:", r)
}
