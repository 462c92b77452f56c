package mail_test

import (
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/mail"
)

func TestParseAddressReadsBareAddresses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for given, want := range map[string]struct{ bare, key string }{
		"ann@example.com":             {"ann@example.com", "ann@example.com"},
		"  ann@example.com ":          {"ann@example.com", "ann@example.com"},
		"Ann.B+News@Example.COM":      {"Ann.B+News@example.com", "ann.b+news@example.com"},
		"o'hara/x=y@a.b":              {"o'hara/x=y@a.b", "o'hara/x=y@a.b"},
		long + "@example.com":         {long + "@example.com", long + "@example.com"},
		"ann@BÜCHER.example":          {"ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"},
		"ann@xn--bcher-kva.example":   {"ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"},
		"ann@ab--cd.example":          {"ann@ab--cd.example", "ann@ab--cd.example"},
		`"Ann B"@example.com`:         {`"Ann B"@example.com`, `"ann b"@example.com`},
		`"a@b"@example.com`:           {`"a@b"@example.com`, `"a@b"@example.com`},
		`"a\"b\\"@example.com`:        {`"a\"b\\"@example.com`, `"a\"b\\"@example.com`},
		`"Ann"@example.com`:           {`"Ann"@example.com`, "ann@example.com"},
		`"A\nn"@example.com`:          {`"A\nn"@example.com`, "ann@example.com"},
		"ann@1and1.example":           {"ann@1and1.example", "ann@1and1.example"},
		"ann@例え.テスト":                  {"ann@xn--r8jz45g.xn--zckzah", "ann@xn--r8jz45g.xn--zckzah"},
		"ann@" + label63 + ".example": {"ann@" + label63 + ".example", "ann@" + label63 + ".example"},
	} {
		a, err := mail.ParseAddress(given)
		if err != nil {
			t.Errorf("%q: %v", given, err)
			continue
		}
		if a.Bare() != want.bare || a.Key() != want.key || a.Name != "" || a.String() != want.bare {
			t.Errorf("%q: got bare %q, key %q, string %q", given, a.Bare(), a.Key(), a.String())
		}
	}
}

var label63 = strings.Repeat("l", 63)

// notAddresses are wrong as a bare address and as an element of a list.
var notAddresses = map[string]string{
	"":                                   "empty",
	" ":                                  "empty",
	"ann":                                "@ is missing",
	"@example.com":                       "nothing stands before",
	"ann@":                               "domain",
	"ann@@example.com":                   "more than one @",
	"ann@b@example.com":                  "more than one @",
	"ann@localhost":                      "two labels",
	"ann@example..com":                   "empty label",
	"ann@.example.com":                   "empty label",
	"ann@example.com.":                   "empty label",
	"ann@-a.example":                     "hyphen",
	"ann@a-.example":                     "hyphen",
	"ann@a_b.example":                    "letters, digits",
	"ann@127.0.0.1":                      "IP address",
	"ann@0x7f.0x1":                       "IP address",
	"ann@[127.0.0.1]":                    "IP address",
	"ann@" + label63 + "l.example":       "63",
	"ann@" + strings.Repeat("ab.", 90):   "253",
	"ann@xn--a.example":                  "internationalised",
	"ann@exam ple.com":                   "letters, digits",
	"ann @example.com":                   "space",
	"ann@ example.com":                   "letters, digits",
	".ann@example.com":                   "dot",
	"ann.@example.com":                   "dot",
	"a..n@example.com":                   "dot",
	`a"n@example.com`:                    "",
	`"ann@example.com`:                   "",
	`""@example.com`:                     "between the quotes",
	`"a"b@example.com`:                   "",
	`a\n@example.com`:                    "special",
	"änn@example.com":                    "ASCII",
	strings.Repeat("a", 65) + "@a.b":     "64",
	"ann@example.com\r\nBcc: b@a.b":      "control",
	"ann@example.com\n":                  "control",
	"ann\t@example.com":                  "control",
	"a\x00n@example.com":                 "control",
	"\"a\x7f\"@example.com":              "control",
	"\"a\u0085\"@example.com":            "control",
	"ann@exam\u2028ple.com":              "control",
	"ann@\xff.example":                   "UTF-8",
	"ann@example.com b":                  "letters, digits",
	"mailto:ann@example.com":             "",
	"<ann@example.com":                   "bracket",
	"ann@example.com>":                   "",
	"ann@example.com, ":                  "",
	"ann@" + strings.Repeat("ü", 9<<10):  "16384",
	"ann@" + strings.Repeat("ü.", 1<<10): "253",
}

func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	for given, want := range notAddresses {
		wantError(t, "ParseAddress", given, want, second(mail.ParseAddress(given)))
	}
	for _, given := range []string{
		"<ann@example.com>", "Ann <ann@example.com>", "ann@example.com (Ann)", "(Ann)ann@example.com",
		"ann@example.com,bob@example.com", "ann@example.com;bob@example.com",
	} {
		wantError(t, "ParseAddress", given, "", second(mail.ParseAddress(given)))
	}
}

func second[T any](_ T, err error) error { return err }

func wantError(t *testing.T, what, given, want string, err error) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s(%.60q) was accepted", what, given)
	case !strings.Contains(err.Error(), want):
		t.Errorf("%s(%.60q): %q does not say %q", what, given, err, want)
	case len(err.Error()) > 200:
		t.Errorf("%s(%.60q): the error has %d octets", what, given, len(err.Error()))
	}
}

// FuzzParseAddress: a parsed address survives being written, and every address is also a list of one.
func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{
		"ann@example.com", " ANN@Example.COM ", `"a@b"@x.example`, `"a\"b"@x.example`, "ann@bücher.example", "a@[::1]", "<a@b.cc>", "a@b@c.dd",
		`"ann"@example.com`, "a@xn--bcher-kva.example", "a@１.example", "a@b。cc", `"\`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		read, err := mail.ParseAddress(s)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Fatalf("the error has %d octets", len(err.Error()))
			}
			return
		}
		if read.Name != "" {
			t.Fatalf("%q has the name %q", s, read.Name)
		}
		checkAddress(t, read)
		list, err := mail.ParseList(read.Bare())
		if err != nil || len(list) != 1 || list[0] != read {
			t.Fatalf("%q is %+v, as a list %+v, %v", s, read, list, err)
		}
	})
}
