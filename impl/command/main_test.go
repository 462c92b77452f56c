package command_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/command"
	"github.com/voostack/mailstack/impl/store/storetest"
)

// testTimeout bounds every wait, on a machine that is busy with other tests.
const testTimeout = 3 * time.Minute

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "mailstack-command-")
	if err == nil {
		// Tests also run it as another user.
		err = os.Chmod(folder, 0o755)
	}
	binary = filepath.Join(folder, "mailstack")
	if err == nil {
		var said []byte
		said, err = exec.CommandContext(context.Background(), "go", "build", "-o", binary, "github.com/voostack/mailstack").CombinedOutput()
		_, _ = os.Stderr.Write(said)
	}
	code := 1
	if err == nil {
		code = storetest.Main(m)
	}
	if err := errors.Join(err, os.RemoveAll(folder)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// output collects what a process writes, and can be read at the same time.
type output struct {
	mutex sync.Mutex
	data  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.data.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.data.String()
}

// execute runs a command that ends by itself in this process, and returns its exit code.
func execute(t *testing.T, arguments ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	var out, err output
	code = command.Run(ctx, command.Process{
		Arguments: arguments, Stdout: &out, Stderr: &err, Now: time.Now, Random: rand.Reader,
	})
	return out.String(), err.String(), code
}

// succeed runs a command that must succeed, and reads the JSON that it prints.
func succeed(t *testing.T, into any, arguments ...string) {
	t.Helper()
	stdout, stderr, code := execute(t, arguments...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s", arguments, code, stderr)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(stdout), into); err != nil {
		t.Fatalf("%v: printed %q: %v", arguments, stdout, err)
	}
}

// running is the program as a process of its own.
type running struct {
	t              *testing.T
	command        *exec.Cmd
	stdout, stderr output
	ended          chan struct{}
}

// launch starts the program in an environment that holds what is given and nothing of ours.
func launch(t *testing.T, environment []string, arguments ...string) *running {
	t.Helper()
	return launchAs(t, nil, t.TempDir(), environment, arguments...)
}

func launchAs(t *testing.T, user *syscall.Credential, folder string, environment []string, arguments ...string) *running {
	t.Helper()
	r := &running{t: t, ended: make(chan struct{})}
	r.command = exec.CommandContext(context.WithoutCancel(t.Context()), binary, arguments...)
	r.command.Dir = folder
	r.command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + folder, "TMPDIR=" + os.TempDir(), "MAILSTACK_LAME_DUCK=0",
	}, environment...)
	r.command.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	r.command.Stdout, r.command.Stderr = &r.stdout, &r.stderr
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.command.Wait() // exits checks the exit code
		close(r.ended)
	}()
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("%v wrote:\n%s\n%s", arguments, r.stdout.String(), r.stderr.String())
		}
	})
	return r
}

// kill is SIGKILL.
func (r *running) kill() {
	_ = r.command.Process.Kill() // it may have ended already
	<-r.ended
}

// exits waits for the end of the process and demands its exit code.
func (r *running) exits(code int) {
	r.t.Helper()
	timer := time.NewTimer(testTimeout)
	defer timer.Stop()
	select {
	case <-r.ended:
	case <-timer.C:
		r.t.Fatal("the process does not end")
	}
	if got := r.command.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("exit code %d (%s), want %d; stderr: %s", got, r.command.ProcessState, code, r.stderr.String())
	}
}

// stops tells the process to stop, and demands that it exits with code 0.
func (r *running) stops() {
	r.t.Helper()
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	r.exits(0)
}

// alive fails the test if the process has ended, since a condition for eventually could not be met any more.
func (r *running) alive() {
	r.t.Helper()
	select {
	case <-r.ended:
		r.t.Fatalf("the process ended (%s): %s", r.command.ProcessState, r.stderr.String())
	default:
	}
}

// logged waits for a line of the JSON log and returns one of its members.
func (r *running) logged(message, member string) string {
	r.t.Helper()
	var value string
	eventually(r.t, message, func() bool {
		r.alive()
		for line := range strings.Lines(r.stderr.String()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
				value = fmt.Sprint(entry[member])
				return true
			}
		}
		return false
	})
	return value
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		case <-again.C:
		}
	}
}

// client is an API client. It keeps no connections, which would outlive the servers of the tests.
type client struct {
	url, key string
}

// do returns the status, or 0 without a response, and decodes the response into the value that is given, unless it is
// nil.
func (c client) do(t *testing.T, method, path, body string, into any) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s %s: %s: %s", method, path, response.Status, answer)
		}
	}
	return response.StatusCode
}

// send sends an email that must be accepted, and returns its id.
func (c client) send(t *testing.T, from string) string {
	t.Helper()
	var accepted struct {
		ID     string `json:"id"`
		Detail string `json:"detail"`
	}
	status := c.do(t, http.MethodPost, "/v1/emails", `{"from":"`+from+`","to":"you@example.com","subject":"Hi","text":"There."}`, &accepted)
	if status != http.StatusAccepted {
		t.Fatalf("send: %d %s", status, accepted.Detail)
	}
	return accepted.ID
}

func (c client) awaitSent(t *testing.T, id string) {
	t.Helper()
	eventually(t, "the email is sent", func() bool {
		var email struct {
			Status            string  `json:"status"`
			ProviderMessageID *string `json:"providerMessageId"`
		}
		c.do(t, http.MethodGet, "/v1/emails/"+id, "", &email)
		return email.Status == "Sent" && email.ProviderMessageID != nil
	})
}
