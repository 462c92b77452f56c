package spec

import (
	"regexp"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/impl/mail"
)

// The two patterns that every string of the document carries. Go's regular expressions take 1.1 ms for 100 KB of html;
// the matchers below take a hundredth of that.
const (
	headerPattern = `^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$`
	bodyPattern   = `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$`
)

// bodyText matches what may stand in a body.
type bodyText struct{}

// MatchString holds for what [mail.HasControl] lets pass.
func (bodyText) MatchString(s string) bool { return !mail.HasControl(s, mail.BodyControls) }

// headerText matches what may stand in a header.
type headerText struct{}

// MatchString holds for what [mail.CheckHeaderText] lets pass.
func (headerText) MatchString(s string) bool { return mail.CheckHeaderText(s) == nil }

// CompilePattern must be given to every validation: the library keeps compiled patterns for the whole process, and
// whoever compiles one first decides.
func CompilePattern(expression string) (openapi3.RegexMatcher, error) {
	switch expression {
	case headerPattern:
		return headerText{}, nil
	case bodyPattern:
		return bodyText{}, nil
	default:
		return regexp.Compile(expression)
	}
}
