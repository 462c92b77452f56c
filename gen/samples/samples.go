// Package samples writes a short program for each operation of a document, in several languages, from the document's own
// examples. `make gen` adds them to the published document as x-codeSamples; `make samples` runs them.
//
//   - samples.go: the languages, and how samples get into a document
//   - operations.go: the requests that the document's examples make
//   - literals.go: the examples' bodies as the languages write them
package samples

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed templates
var templates embed.FS

// language is a language with its template.
type language struct {
	// lang is the name by which a viewer picks colours, label the one that readers see.
	lang, label, file string
}

func languages() []language {
	return []language{
		{"Shell", "curl", "curl.sh"},
		{"TypeScript", "TypeScript", "typescript.ts"},
		{"Python", "Python", "python.py"},
		{"Go", "Go", "go.go"},
		{"Java", "Java", "java.java"},
		{"PHP", "PHP", "php.php"},
		{"Ruby", "Ruby", "ruby.rb"},
		{"C#", "C#", "csharp.cs"},
	}
}

// Add returns the document with x-codeSamples at the end of each operation. All other text is kept as it is.
func Add(document []byte) ([]byte, error) {
	found, err := read(document)
	if err != nil {
		return nil, err
	}
	functions := template.FuncMap{"indent": indent, "lines": func(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }}
	parsed, err := template.New("").Funcs(functions).ParseFS(templates, "templates/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("read the templates: %w", err)
	}
	lines := slices.Collect(strings.Lines(string(document)))
	// From the last to the first, so that the places of those before stay.
	for _, op := range slices.Backward(found) {
		written, err := op.extension(parsed)
		if err != nil {
			return nil, fmt.Errorf("write the samples of %s: %w", op.ID, err)
		}
		lines = slices.Insert(lines, endOf(lines, op.line), written)
	}
	return []byte(strings.Join(lines, "")), nil
}

// endOf returns the number of lines up to the end of the operation of which lines[inside] is a line.
func endOf(lines []string, inside int) int {
	end := inside
	outside := regexp.MustCompile(`^ {0,4}[^ \n]`)
	for end < len(lines) && !outside.MatchString(lines[end]) {
		end++
	}
	for lines[end-1] == "\n" {
		end--
	}
	return end
}

// extension returns the lines of x-codeSamples of an operation.
func (op *operation) extension(parsed *template.Template) (string, error) {
	var written strings.Builder
	written.WriteString("      x-codeSamples:\n")
	for _, in := range languages() {
		var source bytes.Buffer
		if err := parsed.ExecuteTemplate(&source, in.file+".tmpl", op); err != nil {
			return "", fmt.Errorf("in %s: %w", in.label, err)
		}
		fmt.Fprintf(&written, "        - lang: %s\n          label: %s\n          source: |\n", quoted(in.lang), quoted(in.label))
		for line := range strings.Lines(source.String()) {
			if line != "\n" {
				written.WriteString("            ")
			}
			written.WriteString(line)
		}
	}
	return written.String(), nil
}

// indent returns a text with its lines but the first indented.
func indent(by int, text string) string {
	return strings.ReplaceAll(text, "\n", "\n"+strings.Repeat(" ", by))
}
