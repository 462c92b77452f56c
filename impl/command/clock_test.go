package command_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/store/storetest"
)

// An API process and a worker whose clocks are two hours apart: mail is sent at once, the living lease of another worker is
// not taken over, and each of them warns about its clock.
func TestClocksOfMachinesDoNotMatter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, api, worker string }{{"API ahead", "1h", "-1h"}, {"worker ahead", "-1h", "1h"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newProduction(t)
			off := func(by string) []string {
				return append(slices.Clone(p.environment), "MAILSTACK_TEST_CLOCK_OFFSET="+by)
			}
			api := launch(t, off(c.api), "serve", "--no-worker")
			client := client{url: "http://" + api.logged("serving", "address"), key: p.key}
			p.verify(t, client, "acme.example")
			leased := client.send(t, "hello@acme.example")
			s := storetest.Open(t, p.database)
			if _, err := s.Pool().Exec(t.Context(),
				"UPDATE sends SET attempt = 1, due_at = now() + interval '60 s', leased_until = now() + interval '60 s'"); err != nil {
				t.Fatal(err)
			}
			sent := client.send(t, "hello@acme.example")
			worker := launch(t, append(off(c.worker), "MAILSTACK_ADMIN_ADDR=127.0.0.1:0"), "worker")
			client.awaitSent(t, sent)
			for range 2 { // two claims after the lease was there
				client.awaitSent(t, client.send(t, "hello@acme.example"))
			}
			var attempts int
			if err := s.Pool().QueryRow(t.Context(), "SELECT attempt + ambiguous_attempts FROM sends WHERE email_id = $1", leased).Scan(&attempts); err != nil || attempts != 1 {
				t.Errorf("the living lease was taken over: %d attempts, %v", attempts, err)
			}
			warning := "the clock of this machine differs from Postgres's, which is used instead: check the time synchronization of both"
			for _, process := range []struct {
				*running
				sign string
			}{{api, strings.TrimSuffix(c.api, "1h")}, {worker, strings.TrimSuffix(c.worker, "1h")}} {
				if ahead := process.logged(warning, "ahead_seconds"); !strings.HasPrefix(ahead, process.sign+"3") {
					t.Errorf("it says that its clock is %s s ahead", ahead)
				}
			}
			metrics := page(t, "http://"+worker.logged("serving metrics", "address")+"/metrics")
			if !strings.Contains(metrics, "\nmailstack_clock_ahead_seconds "+strings.TrimSuffix(c.worker, "1h")+"3") {
				t.Error("the metrics do not tell how far the clock is off")
			}
			api.stops()
			worker.stops()
		})
	}
}
