package spec

import (
	"fmt"
	"regexp"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/impl/mail"
)

// The two rules for control characters, which schemas name by `x-text`. They are patterns in memory only: dialects of
// regular expressions read them differently or refuse them, so the published document says them in words. Go's own take
// 1.1 ms for 100 KB of html; the matchers below take a hundredth of that.
const (
	headerPattern = `^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$`
	bodyPattern   = `^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$`
)

// bodyText matches text that is allowed in a body.
type bodyText struct{}

// MatchString reports whether s holds no control character by the rule of [mail.HasControl].
func (bodyText) MatchString(s string) bool { return !mail.HasControl(s, mail.BodyControls) }

// headerText matches text that is allowed in a header.
type headerText struct{}

// MatchString reports whether [mail.CheckHeaderText] accepts s.
func (headerText) MatchString(s string) bool { return mail.CheckHeaderText(s) == nil }

// setTextPatterns gives each schema with `x-text` the pattern that it stands for.
func setTextPatterns(doc *openapi3.T) error {
	if doc.Components == nil {
		return nil
	}
	for name, schema := range doc.Components.Schemas {
		if err := setTextPattern(schema.Value); err != nil {
			return fmt.Errorf("schema %s: %w", name, err)
		}
	}
	return nil
}

func setTextPattern(schema *openapi3.Schema) error {
	switch rule := schema.Extensions["x-text"]; rule {
	case nil:
	case "header":
		schema.Pattern = headerPattern
	case "body":
		schema.Pattern = bodyPattern
	default:
		return fmt.Errorf("x-text: %v is not known", rule)
	}
	for _, member := range schema.Properties {
		if member.Ref != "" {
			continue
		}
		if err := setTextPattern(member.Value); err != nil {
			return err
		}
	}
	if schema.Items != nil && schema.Items.Ref == "" {
		return setTextPattern(schema.Items.Value)
	}
	return nil
}

// CompilePattern compiles a pattern of the spec. Every validation must use it: the library caches compiled
// patterns for the whole process, so the first compiler of a pattern decides.
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
