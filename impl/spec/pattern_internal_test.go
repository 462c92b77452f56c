package spec

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPatternMatchers compares the matchers with the patterns of the spec, in Go's syntax.
func TestPatternMatchers(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{headerPattern, bodyPattern} {
		matcher, err := CompilePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		said := regexp.MustCompile(strings.NewReplacer(`\u2028`, `\x{2028}`, `\u2029`, `\x{2029}`).Replace(pattern))
		edges := rapid.SampledFrom([]rune("\x00\x08\t\n\x0b\x0c\r\x0e\x1f ~\x7f\u0080\u0085\u009f\u00a0\u2027\u2028\u2029\u202aä🎉"))
		rapid.Check(t, func(t *rapid.T) {
			text := string(rapid.SliceOfN(rapid.OneOf(edges, rapid.Rune()), 0, 4).Draw(t, "text"))
			if got, want := matcher.MatchString(text), said.MatchString(text); got != want {
				t.Fatalf("%s on %q: %t, want %t", pattern, text, got, want)
			}
		})
	}
}
