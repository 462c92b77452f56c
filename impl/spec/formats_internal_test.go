package spec

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzCheckTime checks that an accepted time can be bound, and that the time shown for it is accepted, too.
func FuzzCheckTime(f *testing.F) {
	for _, seed := range []string{
		"2026-06-18T10:00:00Z", "2026-06-18T10:00:00.123456789+05:30", "9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00",
		"2026-06-18T10:00:60Z", "2026-06-18t10:00:00z", "2026-06-18T10:00:00,5Z", "2026-06-18T1:00:00Z", "2026-06-18T10:00:00+24:00",
	} {
		f.Add(seed)
	}
	check := checkTime()
	f.Fuzz(func(t *testing.T, s string) {
		if check(s) != nil {
			return
		}
		var at time.Time
		if err := at.UnmarshalText([]byte(s)); err != nil {
			t.Fatalf("%q is let through and cannot be bound: %v", s, err)
		}
		shown, err := json.Marshal(at.UTC().Truncate(time.Microsecond))
		if err != nil {
			t.Fatalf("%q cannot be shown: %v", s, err)
		}
		if text := string(shown[1 : len(shown)-1]); check(text) != nil {
			t.Fatalf("%q is shown as %q, which is refused", s, text)
		}
	})
}
