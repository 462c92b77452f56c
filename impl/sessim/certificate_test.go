package sessim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/sessim"
)

// A restarted simulator has another key. Verifiers cache certificates by URL, because SNS's never change, so each
// certificate needs a URL of its own.
func TestEveryCertificateHasItsOwnURL(t *testing.T) {
	t.Parallel()
	certificateOf := func(r *rig) string {
		posted := make(chan string, 1)
		subscriber := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
			var message struct{ SigningCertURL string }
			if err := json.NewDecoder(request.Body).Decode(&message); err != nil {
				t.Error(err)
			}
			posted <- message.SigningCertURL
		}))
		defer subscriber.Close()
		err := r.Publish(sessim.Events{URL: subscriber.URL, TopicARN: "arn:aws:sns:us-east-1:000000000000:mailstack", Own: r.url})
		if err != nil {
			t.Fatal(err)
		}
		path, found := strings.CutPrefix(<-posted, r.url)
		if !found {
			t.Fatal("not a URL of the simulator:", path)
		}
		return path
	}
	first, second := start(t, sessim.Config{}), start(t, sessim.Config{})
	path, other := certificateOf(first), certificateOf(second)
	if path == other {
		t.Error("both are at", path)
	}
	for asked, want := range map[string]int{path: http.StatusOK, other: http.StatusNotFound} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, first.url+asked, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != want {
			t.Errorf("%s is answered %d, want %d", asked, answer.StatusCode, want)
		}
	}
}
