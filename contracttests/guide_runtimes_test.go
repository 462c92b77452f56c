//go:build runtimes

package contracttests

import "testing"

// The receivers of the guide in other languages, as they are shown. A runtime that is missing is a failure: `make guide`
// runs them, and CI has what they need.
func TestGuideExamplesRunInOtherLanguages(t *testing.T) {
	t.Parallel()
	blocks := newStack(t).codeBlocks()
	for language, one := range map[string]struct{ file, command string }{
		"js": {"verify.js", "node"}, "python": {"verify.py", "python3"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			runExample(t, blocks[language], one.file, one.command)
		})
	}
}
