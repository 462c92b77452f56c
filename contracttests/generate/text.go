package generate

import (
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// characters returns characters that often cause bugs: quotes and brackets, white space, combining, joining and
// invisible ones, some whose case changes their length, right to left, full width, the ends of the planes, beyond
// the first plane.
func characters() []rune {
	return []rune(`aZ09 .,;:'"\/<>&()-_%@` +
		"\u00a0\u00ad\u00df\u00e9\u0130\u0131\u0301\u0489\u05d0\u200b\u200d\u200e\u202e\u2066\u2028\u3000\ufe0f\uff21" +
		"\ufeff\ufffd\ufffe\uffff\U0001f389\U0001f468\U0001f3fd\U000e0001\U0010ffff\t\n\r\u0085")
}

// controls returns control characters and line separators, which one pattern or another refuses.
func controls() []rune {
	return []rune("\x00\x01\x08\t\n\v\f\r\x1b\x1f\x7f\u0080\u0085\u009f\u2028\u2029")
}

// text makes strings that a pattern allows, from shortest to longest characters long. A pattern that excludes
// characters is tried on single characters; any other pattern must be a regular expression of Go.
func (m Maker) text(t *rapid.T, schema *openapi3.Schema, shortest, longest int) string {
	allowed := matcher(schema.Pattern)
	if schema.Pattern != "" && !strings.HasPrefix(schema.Pattern, "^[^") {
		return rapid.StringMatching(schema.Pattern).Filter(func(s string) bool {
			length := utf8.RuneCountInString(s)
			return allowed(s) && length >= shortest && length <= longest
		}).Draw(t, "text")
	}
	letters := filtered(characters(), func(r rune) bool { return allowed(string(r)) })
	made := rapid.StringOfN(rapid.SampledFrom(letters), shortest, min(longest, shortest+12), -1).Draw(t, "text")
	phrases := filtered(m.Phrases, func(s string) bool {
		return allowed(s) && utf8.RuneCountInString(made+s) <= longest
	})
	if len(phrases) > 0 && rapid.Bool().Draw(t, "phrased") {
		phrase := rapid.SampledFrom(phrases).Draw(t, "phrase")
		if rapid.Bool().Draw(t, "alone") && utf8.RuneCountInString(phrase) >= shortest {
			return phrase
		}
		made += phrase
	}
	return made
}

// repeated returns a string of length equal characters.
func repeated(t *rapid.T, schema *openapi3.Schema, length int) string {
	allowed := matcher(schema.Pattern)
	letters := filtered([]rune("aé\u05d0\u4e2d\U0001f389"), func(r rune) bool { return allowed(string(r)) })
	return strings.Repeat(string(rapid.SampledFrom(letters).Draw(t, "character")), length)
}

func matcher(pattern string) func(string) bool {
	if pattern == "" {
		return func(string) bool { return true }
	}
	return compiled(pattern).MatchString
}

func filtered[T any](all []T, keep func(T) bool) []T {
	var kept []T
	for _, one := range all {
		if keep(one) {
			kept = append(kept, one)
		}
	}
	return kept
}
