package mail_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/mail"
)

func TestParseDomainReads(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"example.com":                         "example.com",
		"Example.COM.":                        "example.com",
		"mail.example.co.uk":                  "mail.example.co.uk",
		"acme.test":                           "acme.test",
		"mail.acme.test":                      "mail.acme.test",
		"acme.example":                        "acme.example",
		"acme.github.io":                      "acme.github.io",
		"www.ck":                              "www.ck",
		"bücher.example":                      "xn--bcher-kva.example",
		"BÜCHER.example.":                     "xn--bcher-kva.example",
		"xn--bcher-kva.example":               "xn--bcher-kva.example",
		"食狮.公司.cn":                            "xn--85x722f.xn--55qx5d.cn",
		"ab--cd.example":                      "ab--cd.example",
		label63 + ".example":                  label63 + ".example",
		"1.2.3.example":                       "1.2.3.example",
		strings.Repeat("a.", 123) + "example": strings.Repeat("a.", 123) + "example",
	} {
		got, err := mail.ParseDomain(given)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v", given, got, err)
		}
	}
}

func TestParseDomainRefuses(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                                    "empty",
		".":                                   "empty",
		"example.com..":                       "empty label",
		".example.com":                        "empty label",
		"com":                                 "two labels",
		"test":                                "two labels",
		"co.uk":                               "public suffix",
		"CO.UK.":                              "public suffix",
		"foo.ck":                              "public suffix",
		"github.io":                           "public suffix",
		"公司.cn":                               "public suffix",
		"*.example.com":                       "wildcard",
		"192.0.2.1":                           "IP address",
		"[192.0.2.1]":                         "IP address",
		"2001:db8::1":                         "name alone",
		"http://example.com":                  "name alone",
		"example.com:25":                      "name alone",
		"example.com/x":                       "name alone",
		"ann@example.com":                     "name alone",
		"_dmarc.example.com":                  "letters, digits",
		"exa mple.com":                        "letters, digits",
		" example.com":                        "letters, digits",
		"-a.example":                          "hyphen",
		"a\x00.example":                       "control",
		"a.example\n":                         "control",
		"a\u200b\u200d.example":               "internationalised",
		"xn--zzzzzz99999999.example":          "internationalised",
		label63 + "l.example":                 "63",
		strings.Repeat("a.", 124) + "example": "253",
		strings.Repeat("ü", 600) + ".example": "253",
	} {
		wantError(t, "ParseDomain", given, want, second(mail.ParseDomain(given)))
	}
}

func TestParseLabel(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"mail": "mail", "Bounce-1": "bounce-1", "1": "1", label63: label63} {
		if got, err := mail.ParseLabel(given); err != nil || got != want {
			t.Errorf("%q: got %q, %v", given, got, err)
		}
	}
	for _, given := range []string{"", "a.b", "-a", "a-", "a_b", "ü", "a b", "*", label63 + "l", "a\n", "\xff"} {
		wantError(t, "ParseLabel", given, "", second(mail.ParseLabel(given)))
	}
}

func TestParents(t *testing.T) {
	t.Parallel()
	for given, want := range map[string][]string{
		"a.b.example.com": {"a.b.example.com", "b.example.com", "example.com"},
		"example.com":     {"example.com"},
		"com":             nil,
		"":                nil,
	} {
		if got := mail.Parents(given); !slices.Equal(got, want) {
			t.Errorf("%q: got %q", given, got)
		}
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, seed := range []string{"example.com", "bücher.example.", "co.uk", "xn--a.example", "a。b.example", "１.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		domain, err := mail.ParseDomain(s)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Fatalf("the error has %d octets", len(err.Error()))
			}
			return
		}
		if again, err := mail.ParseDomain(domain); err != nil || again != domain {
			t.Fatalf("%q became %q, which became %q, %v", s, domain, again, err)
		}
		if strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(domain) > 253 {
			t.Fatalf("%q became %q", s, domain)
		}
		if parents := mail.Parents(domain); parents[0] != domain {
			t.Fatalf("the parents of %q are %q", domain, parents)
		}
	})
}

// FuzzParseLabel: every parsed label can stand before a domain.
func FuzzParseLabel(f *testing.F) {
	for _, seed := range []string{"mail", "A-1", "a--b", "-a", "a.b", "ä", "xn--a", strings.Repeat("a", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		label, err := mail.ParseLabel(s)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Fatalf("the error has %d octets", len(err.Error()))
			}
			return
		}
		if label != strings.ToLower(s) || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(label) > 63 {
			t.Fatalf("%q became %q", s, label)
		}
		if again, err := mail.ParseLabel(label); err != nil || again != label {
			t.Fatalf("%q became %q, which became %q, %v", s, label, again, err)
		}
	})
}
