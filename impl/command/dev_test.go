package command_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const anyPort = "MAILSTACK_ADDR=127.0.0.1:0"

// announced waits for what dev prints and returns the client of the first two lines, and the third.
func (r *running) announced() (c client, curl string) {
	r.t.Helper()
	var lines []string
	eventually(r.t, "dev prints what to paste", func() bool {
		r.alive()
		lines = strings.Split(r.stdout.String(), "\n")
		return len(lines) > 5
	})
	url, hasURL := strings.CutPrefix(lines[0], "export MAILSTACK_URL=http://127.0.0.1:")
	key, hasKey := strings.CutPrefix(lines[1], "export MAILSTACK_API_KEY=ms_live_")
	if !hasURL || !hasKey || !strings.HasPrefix(lines[2], "curl ") {
		r.t.Fatalf("dev printed %q", lines)
	}
	return client{url: "http://127.0.0.1:" + url, key: "ms_live_" + key}, lines[2]
}

// inbox returns the ids of the messages that dev shows.
func (c client) inbox(t *testing.T) []string {
	t.Helper()
	var shown struct {
		Data []struct {
			MessageID string `json:"messageId"`
		} `json:"data"`
	}
	if status := c.do(t, http.MethodGet, "/dev/inbox.json", "", &shown); status != http.StatusOK {
		t.Fatalf("inbox: %d", status)
	}
	var ids []string
	for _, message := range shown.Data {
		ids = append(ids, message.MessageID)
	}
	return ids
}

func TestDev(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first := launchAs(t, nil, folder, []string{anyPort})
	first.exits(0) // without a command it prints the help

	// AWS variables must not lead anywhere.
	environment := []string{anyPort, "AWS_ENDPOINT_URL_SESV2=http://127.0.0.1:1", "AWS_REGION=eu-central-1", "AWS_PROFILE=none"}
	dev := launchAs(t, nil, folder, environment, "dev")
	c, curl := dev.announced()
	if status := c.do(t, http.MethodGet, "/readyz", "", nil); status != http.StatusOK {
		t.Errorf("the printed address is not ready: %d", status)
	}

	paste := exec.CommandContext(t.Context(), "sh", "-c", curl+" -w ' %{http_code}'")
	paste.Env = append(os.Environ(), "MAILSTACK_URL="+c.url, "MAILSTACK_API_KEY="+c.key)
	said, err := paste.Output()
	if err != nil {
		t.Fatal(err)
	}
	body, status, _ := strings.Cut(string(said), " ")
	var accepted struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(body), &accepted); err != nil || status != "202" {
		t.Fatalf("the printed curl answered %s: %v", said, err)
	}
	c.awaitSent(t, accepted.ID)
	if shown := c.inbox(t); len(shown) != 1 || shown[0] != accepted.ID {
		t.Errorf("the inbox shows %v, want %s", shown, accepted.ID)
	}
	for _, path := range []string{"/dev/inbox", "/docs/"} {
		if status := c.do(t, http.MethodGet, path, "", nil); status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
	}
	testDevDomains(t, c)

	// The operator's commands find the database through the data folder.
	data := "--data-dir=" + filepath.Join(folder, ".mailstack")
	var listed []organization
	succeed(t, &listed, "org", "list", "--json", data)
	if len(listed) != 1 || listed[0].Name != "dev" || !listed[0].HasPaymentMethod {
		t.Errorf("organizations: %+v", listed)
	}
	for _, name := range []string{"api-key", "secret-key", "database-url"} {
		info, err := os.Stat(filepath.Join(folder, ".mailstack", name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	second := launchAs(t, nil, folder, []string{anyPort}, "dev")
	second.exits(1)
	if !strings.Contains(second.stderr.String(), "already running") {
		t.Errorf("a second dev on the folder: %s", second.stderr.String())
	}
	dev.stops()
	if _, err := os.Stat(filepath.Join(folder, ".mailstack", "database-url")); !os.IsNotExist(err) {
		t.Errorf("the stopped database is still named: %v", err)
	}

	testDevAgain(t, folder, c.key, accepted.ID)
}

// testDevBounce: a bounce is shown with its reason, and the address is suppressed.
func testDevBounce(t *testing.T, c client) {
	t.Helper()
	const request = `{"from":"hello@mail.test","to":"bounce@simulator.amazonses.com","subject":"Hi","text":"There."}`
	var accepted struct {
		ID string `json:"id"`
	}
	if status := c.do(t, http.MethodPost, "/v1/emails", request, &accepted); status != http.StatusAccepted {
		t.Fatalf("send: %d", status)
	}
	var email struct {
		Status       string  `json:"status"`
		ErrorMessage *string `json:"errorMessage"`
	}
	eventually(t, "the email bounces", func() bool {
		c.do(t, http.MethodGet, "/v1/emails/"+accepted.ID, "", &email)
		return email.Status == "Bounced"
	})
	if email.ErrorMessage == nil || !strings.Contains(*email.ErrorMessage, "550 5.1.1 user unknown") {
		t.Errorf("the reason is %+v", email.ErrorMessage)
	}
	if status := c.do(t, http.MethodPost, "/v1/emails", request, nil); status != http.StatusBadRequest {
		t.Errorf("the next send: %d", status)
	}
}

// testDevDomains: the DNS of dev knows .test and nothing else.
func testDevDomains(t *testing.T, c client) {
	t.Helper()
	for name, want := range map[string]string{"acme.test": "Verified", "acme.example": "Pending"} {
		var registered struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		}
		if status := c.do(t, http.MethodPost, "/v1/domains", `{"domain":"`+name+`"}`, &registered); status != http.StatusCreated {
			t.Errorf("register %s: %d", name, status)
			continue
		}
		c.do(t, http.MethodPost, "/v1/domains/"+registered.ID+"/verify", "", &registered)
		if registered.Status != want {
			t.Errorf("%s is %s, want %s", name, registered.Status, want)
		}
	}
}

// testDevAgain: the data survives a restart and a kill; a key that was revoked is replaced.
func testDevAgain(t *testing.T, folder, key, message string) {
	t.Helper()
	again := launchAs(t, nil, folder, []string{anyPort}, "dev")
	c, _ := again.announced()
	if c.key != key {
		t.Error("the key is another one on the second start")
	}
	if shown := c.inbox(t); len(shown) != 1 || shown[0] != message {
		t.Errorf("the inbox shows %v, want %s", shown, message)
	}
	again.kill()

	killed := launchAs(t, nil, folder, []string{anyPort}, "dev")
	c, _ = killed.announced()
	if c.key != key {
		t.Error("the key is another one after a kill")
	}
	c.awaitSent(t, c.send(t, "hello@mail.test"))
	succeed(t, nil, "key", "revoke", "--org=dev", "dev", "--data-dir="+filepath.Join(folder, ".mailstack"))
	killed.stops()

	revoked := launchAs(t, nil, folder, []string{anyPort}, "dev")
	c, _ = revoked.announced()
	if c.key == key {
		t.Error("dev prints a key that was revoked")
	}
	c.awaitSent(t, c.send(t, "hello@mail.test"))
	revoked.stops()
}

func TestDevInAFolderThatOnlyItsOwnerEnters(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "private", "clone")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	dev := launchAs(t, nil, folder, []string{anyPort}, "dev")
	c, _ := dev.announced()
	c.awaitSent(t, c.send(t, "hello@mail.test"))
	dev.stops()
}

// TestDevAsAnOrdinaryUser runs dev as user nobody if the test runs as root, and as the user of the test otherwise.
func TestDevAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "mailstack-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	var credential *syscall.Credential
	if os.Geteuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, uidErr := strconv.Atoi(nobody.Uid)
		gid, gidErr := strconv.Atoi(nobody.Gid)
		if uidErr != nil || gidErr != nil {
			t.Fatal(uidErr, gidErr)
		}
		if err := os.Chown(folder, uid, gid); err != nil {
			t.Fatal(err)
		}
		credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	dev := launchAs(t, credential, folder, []string{anyPort}, "dev")
	c, _ := dev.announced()
	c.awaitSent(t, c.send(t, "hello@mail.test"))
	testDevBounce(t, c)
	dev.stops()
}

func TestDevSaysThatItsPortIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	folder := t.TempDir()
	started := time.Now()
	dev := launchAs(t, nil, folder, []string{"MAILSTACK_ADDR=" + taken.Addr().String()}, "dev")
	dev.exits(1)
	for _, text := range []string{"MAILSTACK_ADDR", taken.Addr().String(), "in use"} {
		if !strings.Contains(dev.stderr.String(), text) {
			t.Errorf("the error does not name %q: %s", text, dev.stderr.String())
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) > 0 {
		t.Errorf("something was started after %s: %v %v", time.Since(started), entries, err)
	}
}
