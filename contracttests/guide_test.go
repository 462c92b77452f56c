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

// codeBlocks returns the code of the webhook guide, by its language.
func (s *stack) codeBlocks() map[string]string {
	s.t.Helper()
	page := s.exchange(http.MethodGet, "/docs/webhooks", "", nil).is(http.StatusOK)
	if !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		s.t.Errorf("the guide came with %v", page.header)
	}
	blocks := map[string]string{}
	for _, found := range regexp.MustCompile(`(?s)<pre tabindex="0"><code class="language-([a-z]+)">(.*?)</code></pre>`).FindAllSubmatch(page.body, -1) {
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

// The guide's receiver in Go, as it is shown. Other languages need their runtimes: see `make guide`.
func TestGuideExampleRuns(t *testing.T) {
	t.Parallel()
	runExample(t, newStack(t).codeBlocks()["go"], "main.go", "go", "run")
}

// runExample runs a receiver of the guide by the command and its file, and posts to it.
func runExample(t *testing.T, code, file string, command ...string) {
	t.Helper()
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, file), []byte(code), 0o600))
	key, err := webhook.NewSigningKey(rand.Reader)
	must(t, err)
	address := freeAddress(t)
	receiver := exec.CommandContext(t.Context(), command[0], append(command[1:], file)...)
	receiver.Dir = folder
	receiver.Env = append(os.Environ(), "WEBHOOK_SECRET="+key.Reveal(), "WEBHOOK_ADDRESS="+address, "GOFLAGS=", "GOWORK=off")
	// The process that `go run` starts must end with it.
	receiver.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	receiver.Cancel = func() error { return syscall.Kill(-receiver.Process.Pid, syscall.SIGKILL) }
	var printed bytes.Buffer
	receiver.Stdout, receiver.Stderr = &printed, &printed
	must(t, receiver.Start())
	t.Cleanup(func() { _ = receiver.Wait() })
	post := func(at time.Time, keys ...webhook.SigningKey) webhook.Result {
		sender := webhook.NewSender(webhook.Config{
			Policy: webhook.Policy{AllowLoopbackHTTP: true}, Now: func() time.Time { return at },
		})
		return sender.Send(t.Context(), webhook.Delivery{
			URL: "http://" + address + "/webhooks", EventID: uuid.Must(uuid.NewV7()), Keys: keys,
			Body: `{"id":"0197b2c4-8d43-7f7c-8a51-4c3d2e1f0a91","type":"email.sent","data":{"subject":"Ünï"}}`,
		})
	}
	eventually(t, "the example listens", func() bool { return post(time.Now(), key).Status != 0 })
	other, err := webhook.NewSigningKey(rand.Reader)
	must(t, err)
	got := []int{
		post(time.Now(), key).Status, post(time.Now(), other, key).Status, post(time.Now(), other).Status,
		post(time.Now().Add(-6*time.Minute), key).Status, post(time.Now().Add(6*time.Minute), key).Status,
	}
	if want := []int{204, 204, 400, 400, 400}; !slices.Equal(got, want) {
		t.Errorf("answered %v, want %v", got, want)
	}
}

// freeAddress returns an address that was unused a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return listener.Addr().String()
}
