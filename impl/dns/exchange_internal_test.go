package dns

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// Several servers can only come from resolv.conf, so their order is tested inside the package.
func TestServersAreAskedInTurn(t *testing.T) {
	t.Parallel()
	good := NewStaticZone(Record{Name: "acme.test", Type: TypeTXT, Value: "hello"})
	bad := NewStaticZone()
	bad.Fail("acme.test", FailServfail)
	serve := func(zone Zone) string {
		server, err := Serve(t.Context(), zone, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return server.Addr()
	}
	closed, err := Serve(t.Context(), good, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	answering, failing := serve(good), serve(bad)

	resolver, err := New(Config{Server: answering})
	if err != nil {
		t.Fatal(err)
	}
	resolver.attempts = []string{closed.Addr(), failing, answering}
	got, err := resolver.TXT(t.Context(), "acme.test")
	if err != nil || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}

	resolver.attempts = []string{failing, closed.Addr()}
	_, err = resolver.TXT(t.Context(), "acme.test")
	if err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("an answer says more than silence: %v", err)
	}

	resolver.attempts = []string{closed.Addr()}
	_, err = resolver.TXT(t.Context(), "acme.test")
	var failure *Error
	if !errors.As(err, &failure) || !failure.Temporary || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("no server: %v", err)
	}
}
