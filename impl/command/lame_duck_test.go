package command_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// A process that is told to stop is not ready at once, but answers everything, also over new connections, until its time
// as a lame duck is over. A second signal ends that time.
func TestLameDuckAnswersUntilThePortCloses(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	serving := launch(t, append(p.environment, "MAILSTACK_LAME_DUCK=20s"), "serve")
	c := client{url: "http://" + serving.logged("serving", "address"), key: p.key}
	get := func(path string) (status int, closes bool, body string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+p.key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.ReadAll(response.Body)
		if err != nil || response.Body.Close() != nil {
			t.Fatal(err)
		}
		return response.StatusCode, response.Close, string(read)
	}
	if status, closes, _ := get("/readyz"); status != http.StatusOK || closes {
		t.Fatalf("before the signal /readyz is %d, closing %t", status, closes)
	}
	if err := serving.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "/readyz fails", func() bool {
		serving.alive()
		status, _, body := get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"draining"`)
	})
	for range 3 {
		if status, closes, body := get("/v1/domains"); status != http.StatusOK || !closes {
			t.Errorf("a request gets %d, closing %t: %s", status, closes, body)
		}
	}
	serving.stops()
}

func TestLameDuckIsPartOfTheDrain(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"--lame-duck=25s"}, {"--lame-duck=-1s"}} {
		_, stderr, code := execute(t, append([]string{"serve", "--database-url=postgres://127.0.0.1:1/x", "--secret-key=" + aKey}, arguments...)...)
		if code != 2 || !strings.Contains(stderr, "MAILSTACK_LAME_DUCK") {
			t.Errorf("%q: exit code %d, %s", arguments, code, stderr)
		}
	}
}
