//go:build runtimes

package contracttests

import "testing"

// The guide's receivers in other languages, as they are shown. A missing runtime is a failure: `make guide` runs
// them, and CI installs the runtimes.
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
