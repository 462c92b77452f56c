package contracttests

import (
	"bytes"
	"crypto/rand"
	"html"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/webhook"
)

// codeBlocks are those of the guide to webhooks, by their language.
func (s *stack) codeBlocks() map[string]string {
	s.t.Helper()
	page := s.exchange(http.MethodGet, "/docs/webhooks", "", nil).is(http.StatusOK)
	if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		s.t.Errorf("the guide came with %v", page.header)
	}
	blocks := map[string]string{}
	for _, found := range regexp.MustCompile(`(?s)<pre><code class="language-([a-z]+)">(.*?)</code></pre>`).FindAllSubmatch(page.body, -1) {
		blocks[string(found[1])] = html.UnescapeString(string(found[2]))
	}
	return blocks
}

func TestGuideShowsWhatIsSent(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	blocks := s.codeBlocks()
	if !strings.Contains(blocks["json"], `"type": "email.bounced"`) || !strings.Contains(blocks["sh"], webhooksPath) {
		t.Errorf("the guide shows %q", blocks)
	}
	page := string(s.exchange(http.MethodGet, "/docs/webhooks", "", nil).body)
	for _, event := range document(t).Components.Schemas["WebhookEventType"].Value.Enum {
		if !strings.Contains(page, "<code>"+event.(string)+"</code>") {
			t.Errorf("the guide does not tell of %s", event)
		}
	}
}

// TestGuideExamplesRun runs the receivers of the guide as they are shown, and posts to them. The Go one runs wherever the
// tests do; the others where their interpreter is installed, as it is where all of this is checked.
func TestGuideExamplesRun(t *testing.T) {
	t.Parallel()
	blocks := newStack(t).codeBlocks()
	for language, run := range map[string]struct {
		file    string
		command []string
	}{
		"go": {"main.go", []string{"go", "run", "main.go"}}, "js": {"verify.js", []string{"node", "verify.js"}},
		"python": {"verify.py", []string{"python3", "verify.py"}},
	} {
		if _, err := exec.LookPath(run.command[0]); err != nil && language != "go" {
			t.Logf("%s is not installed: its example was not run", run.command[0])
			continue
		}
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			must(t, os.WriteFile(filepath.Join(folder, run.file), []byte(blocks[language]), 0o600))
			key, err := webhook.NewKey(rand.Reader)
			must(t, err)
			address := freeAddress(t)
			command := exec.CommandContext(t.Context(), run.command[0], run.command[1:]...)
			command.Dir = folder
			command.Env = append(os.Environ(), "WEBHOOK_SECRET="+key.Reveal(), "WEBHOOK_ADDRESS="+address, "GOFLAGS=", "GOWORK=off")
			// What `go run` starts has to end with it.
			command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
			var printed bytes.Buffer
			command.Stdout, command.Stderr = &printed, &printed
			must(t, command.Start())
			t.Cleanup(func() { _ = command.Wait() })
			post := func(at time.Time, keys ...webhook.Key) webhook.Result {
				sender := webhook.NewSender(webhook.Config{
					Policy: webhook.Policy{AllowLoopbackHTTP: true}, Now: func() time.Time { return at },
				})
				return sender.Send(t.Context(), webhook.Delivery{
					URL: "http://" + address + "/webhooks", EventID: uuid.Must(uuid.NewV7()), Keys: keys,
					Body: `{"id":"0197b2c4-8d43-7f7c-8a51-4c3d2e1f0a91","type":"email.sent","data":{"subject":"Ünï"}}`,
				})
			}
			eventually(t, "the example listens", func() bool { return post(time.Now(), key).Status != 0 })
			other, err := webhook.NewKey(rand.Reader)
			must(t, err)
			got := []int{
				post(time.Now(), key).Status, post(time.Now(), other, key).Status, post(time.Now(), other).Status,
				post(time.Now().Add(-6*time.Minute), key).Status, post(time.Now().Add(6*time.Minute), key).Status,
			}
			if want := []int{204, 204, 400, 400, 400}; !slices.Equal(got, want) {
				t.Errorf("answered %v, want %v", got, want)
			}
		})
	}
}

// freeAddress is one that nobody listened at a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return listener.Addr().String()
}
