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
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script-src") || strings.Contains(policy, "http") {
			t.Error(policy)
		}
		if !strings.Contains(page, "&lt;script&gt;alert(&#34;s&#34;)&lt;/script&gt;") {
			t.Error("no subject in", path)
		}
	}
	page := browse(t, r, "/dev/inbox/"+id).Body.String()
	if !strings.Contains(page, `<iframe sandbox="" title="The message as html" srcdoc="&lt;b&gt;hi&lt;/b&gt;&#34;&gt;&lt;script&gt;`) {
		t.Error("the html is not the frame's document:\n", page)
	}
	if w := browse(t, r, "/dev/inbox/nope"); w.Code != 404 {
		t.Error(w.Code)
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
