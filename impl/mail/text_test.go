package mail_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/mail"
)

func TestCheckHeaderText(t *testing.T) {
	t.Parallel()
	for _, given := range []string{"", "Welcome, Zoë 🙂", strings.Repeat("x", 998), "a\u00a0b"} {
		if err := mail.CheckHeaderText(given); err != nil {
			t.Errorf("%q: %v", given, err)
		}
	}
	for _, given := range []string{
		"a\r\nBcc: b@c.d", "a\n", "\r", "\x00", "a\tb", "\x1f", "\x7f", "\u0080", "\u009f", "\u2028", "\u2029", "\xff", "\xed\xa0\x80",
	} {
		wantError(t, "CheckHeaderText", given, "", mail.CheckHeaderText(given))
	}
}

func TestParseTags(t *testing.T) {
	t.Parallel()
	ten := "a,b,c,d,e,f,g,h,i,j"
	for given, want := range map[string][]string{
		"":                      nil,
		"   ":                   nil,
		"welcome":               {"welcome"},
		" a , B.c ,d_e-1":       {"a", "B.c", "d_e-1"},
		"b,a,b":                 {"b", "a"},
		ten:                     strings.Split(ten, ","),
		strings.Repeat("x", 64): {strings.Repeat("x", 64)},
	} {
		got, err := mail.ParseTags(given)
		if err != nil || !slices.Equal(got, want) || (want == nil) != (got == nil) {
			t.Errorf("%q: got %q, %v", given, got, err)
		}
	}
	for given, want := range map[string]string{
		",":                        "tag 1 of 2 is empty",
		"a,":                       "tag 2 of 2 is empty",
		"a,,b":                     "tag 2 of 3 is empty",
		"a b":                      "contains ' '",
		"a\n":                      "contains",
		"ä":                        "contains",
		"š":                        "contains", // its low byte is a letter
		"a:b":                      "contains",
		ten + ",k":                 "more than 10",
		strings.Repeat("x", 65):    "longer than 64",
		strings.Repeat(",", 1<<16): "longer",
	} {
		wantError(t, "ParseTags", given, want, second(mail.ParseTags(given)))
	}
}

func FuzzParseTags(f *testing.F) {
	f.Add("a, b,a")
	f.Add(" ")
	f.Fuzz(func(t *testing.T, s string) {
		tags, err := mail.ParseTags(s)
		if err != nil {
			return
		}
		again, err := mail.ParseTags(strings.Join(tags, ","))
		if err != nil || !slices.Equal(tags, again) || len(tags) > 10 {
			t.Fatalf("%q became %q, which became %q, %v", s, tags, again, err)
		}
	})
}

func TestOutcomeStatus(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[mail.Outcome]string{
		mail.OutcomeQueued:      "Queued",
		mail.OutcomeSendFailed:  "Failed",
		mail.OutcomeSent:        "Sent",
		mail.OutcomeDelivered:   "Delivered",
		mail.OutcomeRejected:    "Failed",
		mail.OutcomeBounced:     "Bounced",
		mail.OutcomeComplained:  "Complained",
		mail.OutcomeSoftBounced: "Bounced",
		-1:                      "Queued",
		8:                       "Queued",
	} {
		if got := outcome.Status(); got != want {
			t.Errorf("%d: got %q", outcome, got)
		}
	}
}

// The numbers are stored, so their order is a promise.
func TestOutcomeOrder(t *testing.T) {
	t.Parallel()
	order := []mail.Outcome{
		mail.OutcomeQueued, mail.OutcomeSendFailed, mail.OutcomeSent, mail.OutcomeDelivered,
		mail.OutcomeRejected, mail.OutcomeBounced, mail.OutcomeComplained,
	}
	for i, outcome := range order {
		if int(outcome) != i {
			t.Errorf("outcome %d is stored as %d", i, outcome)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(rapid.SampledFrom(order), 1, 10).Draw(t, "facts")
		shuffled := rapid.Permutation(facts).Draw(t, "shuffled")
		if slices.Max(facts).Status() != slices.Max(append(shuffled, facts...)).Status() {
			t.Fatal("order or repetition changed the status")
		}
	})
}
