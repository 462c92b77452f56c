package domain

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Date(2026, 6, 18, 10, 0, 0, 0, time.UTC)

func drawFinding(t *rapid.T, at time.Time) checkResult {
	status := rapid.SampledFrom([]string{RecordVerified, RecordMissing, RecordMismatch, RecordUnknown})
	var records []Record
	purposes := []string{PurposeOwnership, PurposeMailFrom, PurposeSPF, PurposeDMARC}
	if rapid.Bool().Draw(t, "dkim") {
		purposes = append(purposes, PurposeDKIM, PurposeDKIM, PurposeDKIM)
	}
	good := rapid.Bool().Draw(t, "good")
	for _, purpose := range purposes {
		r := Record{Purpose: purpose, Required: purpose != PurposeDMARC, Status: RecordVerified}
		if !good {
			r.Status = status.Draw(t, purpose)
		}
		records = append(records, r)
	}
	f := summarize(records, at)
	f.Ready = f.complete() && rapid.Bool().Draw(t, "ready")
	return f
}

// Every history of checks obeys the contract at each step.
func TestHistories(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := start
		s := state{Status: StatusPending, PendingSince: start}
		for range rapid.IntRange(1, 60).Draw(t, "checks") {
			now = now.Add(time.Duration(rapid.Int64Range(1, int64(30*time.Hour)).Draw(t, "pause")))
			before := s
			asked := rapid.Bool().Draw(t, "asked")
			if s.Status == StatusFailed && asked {
				before = s.restarted(now)
			}
			f := drawFinding(t, now)
			s = before.next(f)
			checkStep(t, before, s, f)
		}
	})
}

func checkStep(t *rapid.T, before, after state, f checkResult) {
	switch before.Status + " " + after.Status {
	case "Pending Pending":
		if f.verified() || !f.At.Before(before.PendingSince.Add(verificationWindow)) {
			t.Fatalf("still pending: %+v", f)
		}
	case "Pending Verified", "Verified Verified":
		checkVerified(t, before, after, f)
	case "Pending Failed":
		if f.verified() || f.At.Sub(before.PendingSince) < verificationWindow {
			t.Fatalf("failed too early: %+v", f)
		}
	case "Verified Pending":
		if f.verified() || f.inconclusive() || before.FailingSince == nil || f.At.Sub(*before.FailingSince) < gracePeriod {
			t.Fatalf("fell back too early: %+v from %+v", f, before)
		}
		if after.FailingSince != nil || !after.PendingSince.Equal(f.At) {
			t.Fatalf("fell back to %+v", after)
		}
	case "Failed Failed":
	default:
		t.Fatalf("from %s to %s", before.Status, after.Status)
	}
	if f.Ownership == RecordVerified && after.OwnedAt == nil {
		t.Fatal("ownership seen and not kept")
	}
	if before.OwnedAt != nil && after.OwnedAt == nil && (!f.ownershipLost() || after.Status == before.Status) {
		t.Fatalf("ownership lost: %+v", f)
	}
	if after.FailingSince != nil && after.Status != StatusVerified {
		t.Fatalf("failing while %s", after.Status)
	}
	if (after.reason(f) == nil) != (after.Status == StatusVerified && f.verified()) {
		t.Fatalf("%s with reason %v", after.Status, after.reason(f))
	}
	if !after.nextCheck(f.At).After(f.At) {
		t.Fatal("next look is not later")
	}
}

func checkVerified(t *rapid.T, before, after state, f checkResult) {
	switch {
	case f.verified():
		if after.FailingSince != nil || after.OwnedAt == nil || after.VerifiedAt == nil {
			t.Fatalf("verified with %+v", after)
		}
	case before.Status == StatusPending:
		t.Fatalf("verified by %+v", f)
	case f.inconclusive():
		if after != before {
			t.Fatalf("silence made %+v of %+v", after, before)
		}
	default:
		if after.FailingSince == nil || f.At.Sub(*after.FailingSince) >= gracePeriod {
			t.Fatalf("a loss is not counted: %+v by %+v", after, f)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	failing := func(ago time.Duration) *time.Time {
		since := start.Add(-ago)
		return &since
	}
	for name, c := range map[string]struct {
		state state
		want  time.Duration
	}{
		"new":           {state{Status: StatusPending, PendingSince: start}, time.Minute},
		"an hour old":   {state{Status: StatusPending, PendingSince: start.Add(-time.Hour)}, 5 * time.Minute},
		"six hours old": {state{Status: StatusPending, PendingSince: start.Add(-6 * time.Hour)}, 30 * time.Minute},
		"verified":      {state{Status: StatusVerified}, 6 * time.Hour},
		"just failing":  {state{Status: StatusVerified, FailingSince: failing(0)}, 5 * time.Minute},
		"failing":       {state{Status: StatusVerified, FailingSince: failing(time.Hour)}, 30 * time.Minute},
		"failed":        {state{Status: StatusFailed}, farFuture},
	} {
		if got := c.state.nextCheck(start).Sub(start); got != c.want {
			t.Errorf("%s: next look in %v, want %v", name, got, c.want)
		}
	}
}

func TestObservedIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.StringN(0, 1000, -1)).Draw(t, "texts")
		kept := bounded(texts)
		if kept == nil || len(kept) > maxObserved {
			t.Fatalf("kept %d", len(kept))
		}
		for i, text := range kept {
			if len(text) > maxObservedBytes+len("…") || (len(texts[i]) <= maxObservedBytes && text != texts[i]) {
				t.Fatalf("%q became %q", texts[i], text)
			}
		}
	})
}
