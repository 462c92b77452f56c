// Package problem defines the errors of the API, as the problem documents of RFC 9457.
//
//   - problem.go: [Problem], an error that knows its response
//   - codes.go: status, title and explanation of every code
package problem

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/voostack/mailstack/gen/api"
)

const (
	// MaxErrors bounds how many members of a request a problem names.
	MaxErrors = 100
	// maxDetail bounds what a problem repeats of a request, in bytes.
	maxDetail = 300
)

// Kind is what all problems of a code have in common.
type Kind struct {
	Status int
	Title  string
	// About is the text of the page that the type of the problem points to.
	About string
}

// Problem is an error that knows its response. It holds all that a client may learn about a failure (RFC 9457).
type Problem struct {
	Code   api.ProblemCode
	Detail string
	Errors []api.ProblemError
	// RetryAfter is in seconds. Responses with 429 and 503 always carry it, responses with 409 if it is set.
	RetryAfter int
	// AcceptPatch lists the media types of a PATCH that came as another.
	AcceptPatch string
	// BodyUnread reports that the body of the request has not been read.
	BodyUnread bool
}

func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// Status returns the status of the response.
func (p *Problem) Status() int { return kinds[p.Code].Status }

// Invalid returns the problem of a single member that is wrong.
func Invalid(code api.ProblemCode, pointer, detail string) *Problem {
	return &Problem{Code: code, Detail: detail, Errors: []api.ProblemError{{Pointer: pointer, Detail: detail}}}
}

// Unavailable returns the problem of a dependency that does not respond.
func Unavailable(detail string) *Problem {
	return &Problem{Code: api.ProblemCodeDependencyUnavailable, Detail: detail, RetryAfter: 1}
}

// NotFound returns the same problem for what is absent and for what belongs to another organization.
func NotFound() *Problem {
	return &Problem{Code: api.ProblemCodeNotFound, Detail: "There is no such resource in your organization."}
}

// OfDelete returns why a delete did not happen, or nil: it failed, or there was no row.
func OfDelete(what string, rows int64, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("delete %s: %w", what, err)
	case rows == 0:
		return NotFound()
	}
	return nil
}

// EscapePointer escapes a name for use in a JSON pointer (RFC 6901).
func EscapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// Truncate shortens s to the most that a problem repeats of a request, 300 bytes.
func Truncate(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	end := maxDetail
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
