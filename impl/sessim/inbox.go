package sessim

import (
	"embed"
	"html/template"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/voostack/mailstack/impl/pages/design"
)

const (
	inboxPath  = "/dev/inbox"
	inboxLimit = 100
	// inboxPolicy forbids everything but the stylesheet and the frame that shows a mail's HTML.
	inboxPolicy = design.Policy + "; frame-src 'self'"
	// mailPolicy shows a mail's HTML as mail readers do: without scripts and forms, in an origin of its own. Only images
	// within the mail itself are shown.
	mailPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; img-src data:"
	// remoteImages are allowed on request: their servers learn that the mail is read.
	remoteImages = " https: http:"
)

//go:embed inbox
var inboxFiles embed.FS

// inbox serves the pages that show the accepted mail.
type inbox struct {
	simulator           *Simulator
	listPage, mailPage  *template.Template
	links               []design.Link
	namesImageElsewhere *regexp.Regexp
}

// Inbox shows the accepted mail: /dev/inbox lists it, /dev/inbox/{id} shows one message, and /dev/inbox.json?limit=
// returns the list as JSON, {"data": [Accepted…]}, newest first. The handler expects full paths. The pages' header has
// the given links too.
func (s *Simulator) Inbox(links ...design.Link) http.Handler {
	functions := template.FuncMap{
		"decode": decodeWords,
		"join":   func(list []string) string { return decodeWords(strings.Join(list, ", ")) },
	}
	i := &inbox{
		simulator: s, links: append([]design.Link{{Title: "Inbox", Path: inboxPath}}, links...),
		listPage:            template.Must(design.Parse(inboxFiles, functions, "inbox/list.html")),
		mailPage:            template.Must(design.Parse(inboxFiles, functions, "inbox/message.html")),
		namesImageElsewhere: regexp.MustCompile(`(?i)(?:\b(?:src|srcset|background)\s*=\s*["']?|url\(\s*["']?)(?:https?:)?//`),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+inboxPath, i.list)
	mux.HandleFunc("GET "+inboxPath+"/{$}", i.list)
	mux.Handle("GET "+inboxPath+"/style.css", design.Stylesheet())
	mux.HandleFunc("GET "+inboxPath+"/{id}", i.message)
	mux.HandleFunc("GET "+inboxPath+"/{id}/html", i.html)
	mux.HandleFunc("GET "+inboxPath+".json", i.json)
	return mux
}

func (i *inbox) list(w http.ResponseWriter, _ *http.Request) {
	i.page(w, i.listPage, "Inbox", map[string]any{
		"Messages": i.simulator.newest(inboxLimit),
		"Stats":    i.simulator.counts(),
	})
}

// inboxView is one way to look at a message.
type inboxView struct{ Name, Title string }

func viewsOf(m Accepted) []inboxView {
	var views []inboxView
	if m.HTML != "" {
		views = append(views, inboxView{"html", "HTML"})
	}
	if m.Text != "" {
		views = append(views, inboxView{"text", "Text"})
	}
	if m.HTML != "" {
		views = append(views, inboxView{"source", "Source"})
	}
	return append(views, inboxView{"headers", "Headers"})
}

func (i *inbox) message(w http.ResponseWriter, r *http.Request) {
	m, ok := i.simulator.Message(r.PathValue("id"))
	if !ok {
		http.Error(w, "no such message is kept", http.StatusNotFound)
		return
	}
	views := viewsOf(m)
	view := views[0].Name
	for _, known := range views {
		if known.Name == r.URL.Query().Get("view") {
			view = known.Name
		}
	}
	title := m.Subject
	if title == "" {
		title = "(no subject)"
	}
	i.page(w, i.mailPage, title, map[string]any{
		"Message": m, "View": view, "Views": views,
		"Images": withImages(r), "Remote": i.namesImageElsewhere.MatchString(m.HTML),
	})
}

func withImages(r *http.Request) bool { return r.URL.Query().Get("images") == "1" }

// html serves a mail's HTML for the frame. Its links open in a new tab: what comes first decides, so that the mail
// cannot change it.
func (i *inbox) html(w http.ResponseWriter, r *http.Request) {
	m, ok := i.simulator.Message(r.PathValue("id"))
	if !ok {
		http.Error(w, "no such message is kept", http.StatusNotFound)
		return
	}
	policy := mailPolicy
	if withImages(r) {
		policy += remoteImages
	}
	i.write(w, policy, `<!doctype html><meta charset="utf-8"><base target="_blank">`+m.HTML)
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

func (i *inbox) page(w http.ResponseWriter, parsed *template.Template, title string, data any) {
	var page strings.Builder
	shown := design.Page{Title: title, Style: inboxPath + "/style.css", Links: i.links, Here: inboxPath}
	if err := design.Render(&page, parsed, shown, data); err != nil {
		i.simulator.log.Error("render the inbox", slog.Any("error", err))
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	i.write(w, inboxPolicy, page.String())
}

func (i *inbox) write(w http.ResponseWriter, policy, page string) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	design.Protect(header, policy)
	if _, err := io.WriteString(w, page); err != nil {
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
