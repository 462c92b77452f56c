package ses_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestDeleteSuppressed(t *testing.T) {
	t.Parallel()
	simulator, endpoint := simulate(t)
	client := connect(t, ses.Config{Endpoint: endpoint})
	for _, address := range []string{"user@example.com", `"a/b c%?"@example.com`, "o'hara+tag@example.com"} {
		for range 2 { // absent is fine
			if err := client.DeleteSuppressed(t.Context(), address); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
	simulator.SetFaults(sessim.Faults{Operations: []string{"DeleteSuppressedDestination"}, Status5xx: -1})
	wantFailure(t, client.DeleteSuppressed(t.Context(), "user@example.com"), ses.Ambiguous)
}

// An invalid address cannot be on the list. Every other refusal is an error.
func TestDeleteSuppressedRefused(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]ses.Class{
		"BadRequestException": "", "NotFoundException": "", "AccessDeniedException": ses.Misconfigured, "RequestExpired": ses.Misconfigured,
		"TooManyRequestsException": ses.Throttled,
	} {
		status := map[string]int{"AccessDeniedException": 403, "NotFoundException": 404, "TooManyRequestsException": 429}[code]
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Amzn-ErrorType", code)
			w.WriteHeader(max(status, http.StatusBadRequest))
		}))
		t.Cleanup(server.Close)
		err := connect(t, ses.Config{Endpoint: server.URL}).DeleteSuppressed(t.Context(), "user@example.com")
		if ses.ClassOf(err) != want {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// Errors are logged, so they must not contain the address.
func TestDeleteSuppressedNamesNobody(t *testing.T) {
	t.Parallel()
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	for _, endpoint := range []string{"http://127.0.0.1:1", cut.URL, hanging.URL} {
		client := connect(t, ses.Config{Endpoint: endpoint, Timeout: 300 * time.Millisecond})
		err := client.DeleteSuppressed(t.Context(), "some.body@example.com")
		var failure *ses.Error
		if !errors.As(err, &failure) {
			t.Fatalf("%s: %v", endpoint, err)
		}
		if text := failure.Error() + failure.Detail; strings.Contains(text, "body") || strings.Contains(text, "%40") {
			t.Errorf("%s: %s", endpoint, text)
		}
	}
}
