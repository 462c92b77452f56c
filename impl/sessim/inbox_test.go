package sessim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/sessim"
)

func browse(t *testing.T, r *rig, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r.Inbox().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w
}

func TestInboxEscapesWhatMailBrings(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	m := message()
	m.Subject = `<script>alert("s")</script>`
	m.FromName = `<img src=x onerror=alert(1)>`
	m.HTML = `<b>hi</b>"><script>alert('h')</script>`
	m.Text = `</pre><script>alert('t')</script>`
	id, err := r.client.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/inbox", "/dev/inbox/", "/dev/inbox/" + id} {
		w := browse(t, r, path)
		page := w.Body.String()
		if w.Code != 200 || strings.Contains(page, "<script") || strings.Contains(page, "<img") {
			t.Errorf("%s: %d\n%s", path, w.Code, page)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script-src") || strings.Contains(policy, "http") ||
			strings.Contains(policy, "unsafe") {
			t.Error(policy)
		}
		if !strings.Contains(page, "&lt;script&gt;alert(&#34;s&#34;)&lt;/script&gt;") {
			t.Error("no subject in", path)
		}
	}
	for _, path := range []string{"/dev/inbox/nope", "/dev/inbox/nope/html"} {
		if w := browse(t, r, path); w.Code != 404 {
			t.Error(path, w.Code)
		}
	}
}

// The mail's own HTML is shown in an origin of its own, without scripts, and its links open in a new tab.
func TestInboxShowsHTMLInAFrame(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	m := message()
	m.HTML = `<!doctype html><html><head><base target="_self"></head><body><a href="https://example.com/">there</a></body></html>`
	id, err := r.client.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	page := browse(t, r, "/dev/inbox/"+id).Body.String()
	if !strings.Contains(page, `<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" title="The message" src="/dev/inbox/`+id+`/html">`) {
		t.Error("there is no frame:\n", page)
	}
	if strings.Contains(page, "images=1") {
		t.Error("images are offered that the mail doesn't have")
	}
	frame := browse(t, r, "/dev/inbox/"+id+"/html")
	if want := `<!doctype html><meta charset="utf-8"><base target="_blank">` + m.HTML; frame.Body.String() != want {
		t.Errorf("the frame shows %s", frame.Body)
	}
	policy := frame.Header().Get("Content-Security-Policy")
	sandbox, rest, _ := strings.Cut(policy, ";")
	if sandbox != "sandbox allow-popups allow-popups-to-escape-sandbox" || !strings.Contains(rest, "default-src 'none'") ||
		!strings.HasSuffix(rest, "img-src data:") || frame.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the frame came with %v", frame.Header())
	}
}

func TestInboxLoadsImagesOnRequest(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	for _, html := range []string{
		`<img src="https://example.com/i.png">`, `<p style="background: url(//example.com/i.png)">`, `<td background='http://example.com/i.png'>`,
	} {
		m := message()
		m.HTML = html
		id, err := r.client.Send(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if page := browse(t, r, "/dev/inbox/"+id).Body.String(); !strings.Contains(page, `href="/dev/inbox/`+id+`?view=html&amp;images=1"`) {
			t.Errorf("%s: images are not offered:\n%s", html, page)
		}
		if page := browse(t, r, "/dev/inbox/"+id+"?view=html&images=1").Body.String(); !strings.Contains(page, `src="/dev/inbox/`+id+`/html?images=1"`) {
			t.Errorf("%s: images are not loaded:\n%s", html, page)
		}
		policy := browse(t, r, "/dev/inbox/"+id+"/html?images=1").Header().Get("Content-Security-Policy")
		if !strings.HasSuffix(policy, "img-src data: https: http:") {
			t.Errorf("%s: the policy is %s", html, policy)
		}
	}
}

func TestInboxViews(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	m := message()
	m.HTML, m.Text = "<b>in bold</b>", "in plain"
	id, err := r.client.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for view, want := range map[string]string{
		"": "<iframe", "html": "<iframe", "text": "in plain</pre>", "source": "&lt;b&gt;in bold&lt;/b&gt;</code></pre>", "headers": "MAIL FROM", "none": "<iframe",
	} {
		if page := browse(t, r, "/dev/inbox/"+id+"?view="+view).Body.String(); !strings.Contains(page, want) {
			t.Errorf("%q shows no %q:\n%s", view, want, page)
		}
	}
	m = message()
	m.HTML, m.Text = "", "in plain"
	if id, err = r.client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if page := browse(t, r, "/dev/inbox/"+id+"?view=html").Body.String(); !strings.Contains(page, "in plain</pre>") || strings.Contains(page, "view=html") {
		t.Error("html is offered that the mail doesn't have:\n", page)
	}
}

func TestInboxWithoutMail(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	if w := browse(t, r, "/dev/inbox"); w.Code != 200 || !strings.Contains(w.Body.String(), "No mail yet") {
		t.Error(w.Code, w.Body)
	}
	if got := strings.TrimSpace(browse(t, r, "/dev/inbox.json").Body.String()); got != `{"data":[]}` {
		t.Error(got)
	}
}

func TestInboxAsJSON(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	var last string
	for range 3 {
		m := message()
		if _, err := r.client.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		last = m.ID.String()
	}
	w := browse(t, r, "/dev/inbox.json?limit=2")
	var got struct{ Data []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 2 || got.Data[0]["messageId"] != last {
		t.Fatal(w.Body)
	}
	for _, member := range []string{"id", "messageId", "from", "to", "cc", "bcc", "replyTo", "subject", "html", "text", "headers", "tags", "receivedAt"} {
		if got.Data[0][member] == nil {
			t.Error("no", member)
		}
	}
	if w := browse(t, r, "/dev/inbox.json?limit=x"); w.Code != 400 {
		t.Error(w.Code)
	}
}
