package impl

import (
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/voostack/mailstack/gen/api"
)

// problemPage is what the type of a problem points to.
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

func serveProblemPage(w http.ResponseWriter, r *http.Request) {
	code := api.ProblemCode(strings.TrimPrefix(r.URL.Path, "/problems/"))
	known, found := kinds[code]
	if !found {
		writeProblemPage(w, http.StatusNotFound, "There is no such problem", nil)
		return
	}
	entry := problemEntry{code, known.status, known.title, known.about}
	writeProblemPage(w, http.StatusOK, "Problem", []problemEntry{entry})
}

func serveProblemIndex(w http.ResponseWriter, _ *http.Request) {
	entries := make([]problemEntry, 0, len(kinds))
	for code, known := range kinds {
		entries = append(entries, problemEntry{code, known.status, known.title, known.about})
	}
	slices.SortFunc(entries, func(a, b problemEntry) int {
		if a.Status != b.Status {
			return a.Status - b.Status
		}
		return strings.Compare(string(a.Code), string(b.Code))
	})
	writeProblemPage(w, http.StatusOK, "Problems", entries)
}

func writeProblemPage(w http.ResponseWriter, status int, heading string, entries []problemEntry) {
	page := template.Must(template.New("problem").Parse(problemPage))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(status)
	// A write fails when the client has gone; there is nobody left to tell.
	_ = page.Execute(w, map[string]any{"Heading": heading, "Kinds": entries})
}
