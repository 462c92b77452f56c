package pages

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"

	"github.com/voostack/mailstack/impl/pages/design"
)

// bothForms is a page as HTML and as Markdown.
type bothForms struct {
	*design.Static
	markdown *design.Static
}

// asMarkdown returns the handler of a page's Markdown.
func (b bothForms) asMarkdown() http.Handler { return b.markdown }

// withStatus returns the same page for answers with another status.
func (b bothForms) withStatus(status int) bothForms {
	return bothForms{b.WithStatus(status), b.markdown.WithStatus(status)}
}

// toMarkdown returns what a page says as Markdown: its main part, without navigation, forms and what is hidden.
func toMarkdown(page []byte) ([]byte, error) {
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	main := find(root, func(node *html.Node) bool { return node.Data == "main" })
	if main == nil {
		return nil, errors.New("a page has no main part")
	}
	for node := find(main, isForBrowsers); node != nil; node = find(main, isForBrowsers) {
		node.Parent.RemoveChild(node)
	}
	toMD := converter.NewConverter(converter.WithPlugins(
		base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin(),
	))
	text, err := toMD.ConvertNode(main)
	if err != nil {
		return nil, fmt.Errorf("write a page as Markdown: %w", err)
	}
	return append(bytes.TrimSpace(text), '\n'), nil
}

// find returns the first element below a node that matches.
func find(root *html.Node, matches func(*html.Node) bool) *html.Node {
	for node := range root.Descendants() {
		if node.Type == html.ElementNode && matches(node) {
			return node
		}
	}
	return nil
}

// isForBrowsers reports whether an element means nothing to a reader of text.
func isForBrowsers(node *html.Node) bool {
	if slices.Contains([]string{"nav", "form", "button", "svg"}, node.Data) {
		return true
	}
	for _, attribute := range node.Attr {
		classes := strings.Fields(attribute.Val)
		if attribute.Key == "hidden" || attribute.Key == "class" && (slices.Contains(classes, "try") || slices.Contains(classes, "crumbs")) {
			return true
		}
	}
	return false
}
