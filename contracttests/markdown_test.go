package contracttests

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Every page has the same text as Markdown, says where, and /llms.txt lists them all.
func TestPagesAreServedAsMarkdown(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	get := func(path, contentType string) string {
		page := s.exchange(http.MethodGet, path, "", nil).is(http.StatusOK)
		if got := page.header.Get("Content-Type"); got != contentType {
			t.Errorf("%s is %q", path, got)
		}
		return string(page.body)
	}
	const asHTML, asMarkdown = "text/html; charset=utf-8", "text/markdown; charset=utf-8"
	list := get("/llms.txt", asMarkdown)
	if !regexp.MustCompile(`^# MailStack API\n\n> .+\n\n## [A-Za-z]+\n\n(- \[.+\]\(/.+\): .+\n)+\n## `).MatchString(list) {
		t.Errorf("llms.txt is not of its format:\n%s", list)
	}
	paths := []string{"/docs/", "/docs/webhooks", "/docs/versioning", "/problems"}
	for _, code := range document(t).Components.Schemas["ProblemCode"].Value.Enum {
		paths = append(paths, "/problems/"+code.(string))
	}
	for _, path := range paths {
		alternate := strings.TrimSuffix(path, "/") + ".md"
		page, text := get(path, asHTML), get(alternate, asMarkdown)
		if !strings.Contains(page, `<link rel="alternate" type="text/markdown" href="`+alternate+`">`) {
			t.Errorf("%s doesn't link to %s", path, alternate)
		}
		if !strings.Contains(list, "]("+alternate+"): ") {
			t.Errorf("llms.txt doesn't list %s", alternate)
		}
		if !strings.HasPrefix(text, "# ") || regexp.MustCompile(`(?i)<(p|div|li|h[1-6]|form|input|table|pre)[ >]`).MatchString(fences.ReplaceAllString(text, "")) {
			t.Errorf("%s is not Markdown:\n%.500s", alternate, text)
		}
		said := words(text)
		for _, sentence := range sentencesOf(t, page) {
			if !strings.Contains(said, words(sentence)) {
				t.Errorf("%s doesn't say %q", alternate, sentence)
			}
		}
	}
	for _, link := range regexp.MustCompile(`\]\((/[^)]+)\)`).FindAllStringSubmatch(list, -1) {
		s.exchange(http.MethodGet, link[1], "", nil).is(http.StatusOK)
	}
	missing := s.exchange(http.MethodGet, "/problems/none.md", "", nil).is(http.StatusNotFound)
	if got := missing.header.Get("Content-Type"); got != asMarkdown {
		t.Errorf("/problems/none.md is %q", got)
	}
}

var (
	fences = regexp.MustCompile("(?s)```.*?```|`[^`]*`")
	letter = regexp.MustCompile(`[^\p{L}\p{N}]+`)
)

// words returns the letters and digits of a text, which HTML and Markdown have in common.
func words(text string) string { return letter.ReplaceAllString(text, "") }

// sentencesOf returns the headings, paragraphs without links, and code that a page shows.
func sentencesOf(t *testing.T, page string) []string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	must(t, err)
	var found []string
	for node := range root.Descendants() {
		switch node.Data {
		case "h1", "h2", "h3", "p", "pre":
			text := textOf(node)
			if isRead(node) && !strings.Contains(text, "://") {
				found = append(found, text)
			}
		}
	}
	if len(found) == 0 {
		t.Errorf("there is no sentence in %.200s", page)
	}
	return found
}

// isRead reports whether an element without links is in the main part of a page, and neither hidden nor of a form or navigation.
func isRead(node *html.Node) bool {
	for inner := range node.Descendants() {
		if inner.Data == "a" {
			return false
		}
	}
	for ; node != nil; node = node.Parent {
		class := attribute(node, "class")
		hidden := slices.ContainsFunc(node.Attr, func(one html.Attribute) bool { return one.Key == "hidden" })
		switch {
		case hidden || node.Data == "nav" || node.Data == "form" || class == "try" || class == "crumbs":
			return false
		case node.Data == "main":
			return true
		}
	}
	return false
}

func textOf(node *html.Node) string {
	var text strings.Builder
	for inner := range node.Descendants() {
		if inner.Type == html.TextNode {
			text.WriteString(inner.Data)
		}
	}
	return text.String()
}
