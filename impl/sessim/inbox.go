package sessim

import (
	_ "embed"
	"html/template"
	"log/slog"
	"mime"
	"net/http"
	"strings"
)

const (
	inboxPath  = "/dev/inbox"
	inboxLimit = 100
	// inboxPolicy forbids scripts and everything on other hosts. The frame that shows a mail's HTML inherits it.
	// Only images within the mail itself are shown.
	inboxPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

//go:embed inbox.html
var inboxHTML string

// inbox serves the pages that show the accepted mail.
type inbox struct {
	simulator *Simulator
	pages     *template.Template
}

// Inbox shows the accepted mail: /dev/inbox lists it, /dev/inbox/{id} shows one message, and /dev/inbox.json?limit=
// returns the list as JSON, {"data": [Accepted…]}, newest first. The handler expects full paths.
func (s *Simulator) Inbox() http.Handler {
	pages := template.Must(template.New("inbox").Funcs(template.FuncMap{
		"decode": decodeWords,
		"join":   func(list []string) string { return decodeWords(strings.Join(list, ", ")) },
	}).Parse(inboxHTML))
	i := &inbox{simulator: s, pages: pages}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+inboxPath, i.list)
	mux.HandleFunc("GET "+inboxPath+"/{$}", i.list)
	mux.HandleFunc("GET "+inboxPath+"/{id}", i.message)
	mux.HandleFunc("GET "+inboxPath+".json", i.json)
	return mux
}

func (i *inbox) list(w http.ResponseWriter, _ *http.Request) {
	i.page(w, "list", map[string]any{
		"Messages": i.simulator.newest(inboxLimit),
		"Stats":    i.simulator.counts(),
	})
}

func (i *inbox) message(w http.ResponseWriter, r *http.Request) {
	m, ok := i.simulator.Message(r.PathValue("id"))
	if !ok {
		http.Error(w, "no such message is kept", http.StatusNotFound)
		return
	}
	i.page(w, "message", m)
}

func (i *inbox) json(w http.ResponseWriter, r *http.Request) {
	limit, err := number(r, "limit", inboxLimit)
	if err != nil {
		i.simulator.controlError(w, http.StatusBadRequest, err.Error())
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	i.simulator.write(w, http.StatusOK, map[string]any{"data": i.simulator.newest(int(min(limit, maxRecords)))})
}

func (i *inbox) page(w http.ResponseWriter, name string, data any) {
	var page strings.Builder
	if err := i.pages.ExecuteTemplate(&page, name, data); err != nil {
		i.simulator.log.Error("render the inbox", slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", inboxPolicy)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	if _, err := w.Write([]byte(page.String())); err != nil {
		i.simulator.log.Debug("write the inbox", slog.Any("error", err))
	}
}

// decodeWords decodes a header field as a mail reader shows it (RFC 2047).
func decodeWords(s string) string {
	decoded, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		return s
	}
	return decoded
}
