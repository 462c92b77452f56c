package sessim_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/voostack/mailstack/impl/ses"
	"github.com/voostack/mailstack/impl/sessim"
)

func TestFaultsStrikeAsOftenAsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults   sessim.Faults
		want     ses.Class
		accepted int64 // of the two sends that the fault strikes
	}{
		"throttle":     {sessim.Faults{Throttle: 2}, ses.Throttled, 0},
		"status 5xx":   {sessim.Faults{Status5xx: 2}, ses.Ambiguous, 0},
		"drop request": {sessim.Faults{DropRequest: 2}, ses.Ambiguous, 0},
		"drop answer":  {sessim.Faults{DropAnswer: 2}, ses.Ambiguous, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ready(t, sessim.Config{})
			r.SetFaults(c.faults)
			for range 2 {
				_, err := r.client.Send(t.Context(), message())
				wantClass(t, err, c.want)
			}
			if got := r.Stats().Accepted; got != c.accepted {
				t.Errorf("accepted %d, want %d", got, c.accepted)
			}
			if _, err := r.client.Send(t.Context(), message()); err != nil {
				t.Error("used up:", err)
			}
		})
	}
}

func TestFaultsStrikeEveryCallUntilCleared(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	r.SetFaults(sessim.Faults{Throttle: -1})
	for range 3 {
		_, err := r.client.Send(t.Context(), message())
		wantClass(t, err, ses.Throttled)
	}
	if _, err := r.client.GetQuota(t.Context()); err != nil {
		t.Error("only sends are struck:", err)
	}
	r.ClearFaults()
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

func TestFaultsByChanceRepeat(t *testing.T) {
	t.Parallel()
	pattern := func() (struck []bool) {
		r := ready(t, sessim.Config{})
		r.SetFaults(sessim.Faults{Throttle: 0.5, Seed: 7})
		for range 40 {
			_, err := r.client.Send(t.Context(), message())
			struck = append(struck, err != nil)
		}
		return struck
	}
	first, second := pattern(), pattern()
	hits := 0
	for i := range first {
		if first[i] != second[i] {
			t.Fatal("another pattern with the same seed")
		}
		if first[i] {
			hits++
		}
	}
	if hits < 8 || hits > 32 {
		t.Error("struck", hits, "of 40")
	}
}

func TestHangEndsWithTheClient(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	r.SetFaults(sessim.Faults{Hang: 1})
	hasty := r.connect(t, ses.Config{Timeout: 2 * time.Second})
	_, err := hasty.Send(t.Context(), message())
	wantClass(t, err, ses.Ambiguous)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if n := r.Stats().Accepted; n != 0 {
		t.Error("accepted", n)
	}
}

func TestHangEndsWithTheFaults(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	r.SetFaults(sessim.Faults{Hang: 1})
	done := make(chan error, 1)
	go func() {
		_, err := r.client.Send(t.Context(), message())
		done <- err
	}()
	eventually(t, "the send hangs", func() bool { return r.Faults().Hang == 0 })
	r.ClearFaults()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	r.SetFaults(sessim.Faults{DelayMs: 80})
	begin := time.Now()
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took < 80*time.Millisecond {
		t.Error("took", took)
	}
}

func TestFaultsOfOtherOperations(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	r.SetFaults(sessim.Faults{Status5xx: 2, Operations: []string{"GetAccount"}})
	if _, err := r.client.Send(t.Context(), message()); err != nil {
		t.Error(err)
	}
	// The SDK's third try succeeds.
	if _, err := r.client.GetQuota(t.Context()); err != nil {
		t.Error(err)
	}
	if left := r.Faults().Status5xx; left != 0 {
		t.Error("left:", left)
	}
}

func TestControlAPI(t *testing.T) {
	t.Parallel()
	r := ready(t, sessim.Config{})
	control := func(method, path, body string, want int) map[string]any {
		t.Helper()
		status, _, answer := r.callSigned(t, method, path, body, "")
		if status != want {
			t.Errorf("%s %s: %d, want %d: %v", method, path, status, want, answer)
		}
		return answer
	}
	control(http.MethodPost, "/_sim/faults", `{"throttle":1}`, 200)
	_, err := r.client.Send(t.Context(), message())
	wantClass(t, err, ses.Throttled)
	control(http.MethodPost, "/_sim/faults", `{"throtle":1}`, 400)
	control(http.MethodPost, "/_sim/faults", `{"hang":-1}`, 200)
	control(http.MethodDelete, "/_sim/faults", "", 204)

	m := message()
	id, err := r.client.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := control(http.MethodGet, "/_sim/messages/"+id, "", 200); got["messageId"] != m.ID.String() {
		t.Error(got)
	}
	control(http.MethodGet, "/_sim/messages/nope", "", 404)
	if got := control(http.MethodGet, "/_sim/messages?messageId="+m.ID.String()+"&limit=1", "", 200); len(got["data"].([]any)) != 1 {
		t.Error(got)
	}
	if got := control(http.MethodGet, "/_sim/journal?after=1", "", 200)["data"].([]any); len(got) != 1 || got[0].(map[string]any)["sequence"] != 2.0 {
		t.Error(got)
	}
	control(http.MethodGet, "/_sim/journal?after=x", "", 400)
	if got := control(http.MethodGet, "/_sim/stats", "", 200); got["accepted"] != 2.0 || got["duplicates"] != 1.0 || got["distinct"] != 1.0 {
		t.Error(got)
	}
	control(http.MethodPut, "/_sim/account", `{"sendingEnabled":false,"max24Hour":5,"maxPerSecond":1}`, 200)
	if q, err := r.client.GetQuota(t.Context()); err != nil || q.SendingEnabled || q.Max24Hour != 5 || q.MaxPerSecond != 1 {
		t.Error(q, err)
	}
	control(http.MethodPut, "/_sim/account", `{"enforcementStatus":"ODD"}`, 400)
	control(http.MethodGet, "/_sim/nothing", "", 404)
}
