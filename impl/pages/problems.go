package pages

import (
	"html/template"
	"net/http"
	"strings"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// problemPage is the template of the pages that the type of a problem points to.
const problemPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Heading}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}code{background:#8882;padding:.1em .3em}</style>
</head><body><h1>{{.Heading}}</h1>
{{range .Kinds}}<h2><a href="/problems/{{.Code}}"><code>{{.Code}}</code></a></h2>
<p><strong>{{.Status}}</strong> {{.Title}}</p><p>{{.About}}</p>
{{end}}<p><a href="/problems">All problems</a> · <a href="/docs/">API reference</a></p></body></html>
`

type problemEntry struct {
	Code   api.ProblemCode
	Status int
	Title  string
	About  string
}

func entryOf(code api.ProblemCode, kind problem.Kind) problemEntry {
	return problemEntry{code, kind.Status, kind.Title, kind.About}
}

func serveProblemPage(w http.ResponseWriter, r *http.Request) {
	code := api.ProblemCode(strings.TrimPrefix(r.URL.Path, "/problems/"))
	kind, found := problem.KindOf(code)
	if !found {
		writeProblemPage(w, http.StatusNotFound, "There is no such problem", nil)
		return
	}
	writeProblemPage(w, http.StatusOK, "Problem", []problemEntry{entryOf(code, kind)})
}

func serveProblemIndex(w http.ResponseWriter, _ *http.Request) {
	var entries []problemEntry
	for _, code := range problem.Codes() {
		kind, _ := problem.KindOf(code)
		entries = append(entries, entryOf(code, kind))
	}
	writeProblemPage(w, http.StatusOK, "Problems", entries)
}

func writeProblemPage(w http.ResponseWriter, status int, heading string, entries []problemEntry) {
	page := template.Must(template.New("problem").Parse(problemPage))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(status)
	// A failed write means that the client has gone.
	_ = page.Execute(w, map[string]any{"Heading": heading, "Kinds": entries})
}
