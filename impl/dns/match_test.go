package dns_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/dns"
)

const include = "amazonses.com"

func TestMatchCNAME(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		observed []string
		want     string
		match    bool
	}{
		{[]string{"a.dkim.amazonses.com"}, "a.dkim.amazonses.com", true},
		{[]string{"A.DKIM.amazonses.com."}, "a.dkim.AMAZONSES.com", true},
		{[]string{"b.dkim.amazonses.com"}, "a.dkim.amazonses.com", false},
		{[]string{"a.dkim.amazonses.com.acme.test"}, "a.dkim.amazonses.com", false},
		{[]string{"a.dkim.amazonses.com", "b.dkim.amazonses.com"}, "a.dkim.amazonses.com", false},
		{[]string{"a.d\u212Aim.amazonses.com"}, "a.dkim.amazonses.com", false},
		{nil, "a.dkim.amazonses.com", false},
		{nil, "", false},
		{[]string{""}, "", false},
	} {
		if got := dns.MatchCNAME(test.observed, test.want); got != test.match {
			t.Errorf("%q against %q: %t", test.observed, test.want, got)
		}
	}
}

func TestMatchMX(t *testing.T) {
	t.Parallel()
	const host = "feedback-smtp.us-east-1.amazonses.com"
	for _, test := range []struct {
		observed []dns.MX
		want     string
		match    bool
	}{
		{[]dns.MX{{Preference: 10, Host: host}}, "10 " + host, true},
		{[]dns.MX{{Preference: 5, Host: strings.ToUpper(host) + "."}}, "10 " + host, true},
		{[]dns.MX{{Preference: 10, Host: host}, {Preference: 20, Host: "mx.acme.test"}}, "10 " + host, false},
		{[]dns.MX{{Preference: 10, Host: "mx.acme.test"}}, "10 " + host, false},
		{[]dns.MX{{Preference: 0, Host: ""}}, "10 " + host, false},
		{nil, "10 " + host, false},
		{[]dns.MX{{Preference: 10, Host: host}}, host, false},
		{[]dns.MX{{Preference: 10, Host: ""}}, "10 .", false},
		{[]dns.MX{{Preference: 10, Host: host}}, "70000 " + host, false},
	} {
		if got := dns.MatchMX(test.observed, test.want); got != test.match {
			t.Errorf("%v against %q: %t", test.observed, test.want, got)
		}
	}
}

func TestMatchTXT(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		observed []string
		want     string
		match    bool
	}{
		{[]string{"google-site", "mailstack=abc"}, "mailstack=abc", true},
		{[]string{" mailstack=abc\t"}, "mailstack=abc ", true},
		{[]string{"mailstack=ABC"}, "mailstack=abc", false},
		{[]string{"mailstack=abcd"}, "mailstack=abc", false},
		{[]string{"mailstack=a", "bc"}, "mailstack=abc", false},
		{nil, "mailstack=abc", false},
		{[]string{""}, "", false},
		{[]string{" "}, " ", false},
	} {
		if got := dns.MatchTXT(test.observed, test.want); got != test.match {
			t.Errorf("%q against %q: %t", test.observed, test.want, got)
		}
	}
}

func TestMatchSPF(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		observed []string
		match    bool
	}{
		{[]string{"v=spf1 include:amazonses.com ~all"}, true},
		{[]string{"v=spf1 include:amazonses.com"}, true},
		{[]string{"V=SPF1 +Include:AmazonSES.com. -all"}, true},
		{[]string{"v=spf1 ip4:192.0.2.0/24  include:_spf.acme.test include:amazonses.com -all "}, true},
		{[]string{"unrelated", "v=spf1 include:amazonses.com ~all", "v=spf10 -all"}, true},
		{[]string{"v=spf1 include:amazonses.com ~all", "v=spf1 -all"}, false},
		{[]string{"v=spf1 include:amazonses.com ~all", "v=spf1"}, false},
		{[]string{"v=spf1 -include:amazonses.com ~all"}, false},
		{[]string{"v=spf1 ~include:amazonses.com ~all"}, false},
		{[]string{"v=spf1 ?include:amazonses.com ~all"}, false},
		{[]string{"v=spf1 ~all include:amazonses.com"}, false},
		{[]string{"v=spf1 ALL include:amazonses.com"}, false},
		{[]string{"v=spf1 include:amazonses.com.evil.test ~all"}, false},
		{[]string{"v=spf1 include:notamazonses.com ~all"}, false},
		{[]string{"v=spf1 include: amazonses.com ~all"}, false},
		{[]string{"v=spf1 ip4:192.0.2.1include:amazonses.com"}, false},
		{[]string{"v=spf1 redirect=amazonses.com"}, false},
		{[]string{"v=spf1include:amazonses.com"}, false},
		{[]string{" v=spf1 include:amazonses.com"}, false},
		{[]string{"include:amazonses.com"}, false},
		{[]string{""}, false},
		{nil, false},
	} {
		if got := dns.MatchSPF(test.observed, include); got != test.match {
			t.Errorf("%q: %t", test.observed, got)
		}
	}
	if dns.MatchSPF([]string{"v=spf1 include: ~all"}, "") {
		t.Error("an empty domain matches")
	}
}

func TestMatchDMARC(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		observed []string
		match    bool
	}{
		{[]string{"v=DMARC1; p=none;"}, true},
		{[]string{"v=DMARC1;p=reject"}, true},
		{[]string{" v = DMARC1 ; rua=mailto:d@acme.test; P = Quarantine; sp=none"}, true},
		{[]string{"other", "v=DMARC1; p=none"}, true},
		{[]string{"v=DMARC1; p=none", "v=DMARC1; p=reject"}, false},
		{[]string{"v=DMARC1; p=none", "v=DMARC1"}, false},
		{[]string{"v=DMARC1; p=maybe"}, false},
		{[]string{"v=DMARC1; sp=none"}, false},
		{[]string{"v=DMARC1; p=none; p=reject"}, false},
		{[]string{"v=DMARC1"}, false},
		{[]string{"v=DMARC12; p=none"}, false},
		{[]string{"p=none; v=DMARC1"}, false},
		{[]string{""}, false},
		{nil, false},
	} {
		if got := dns.MatchDMARC(test.observed); got != test.match {
			t.Errorf("%q: %t", test.observed, got)
		}
	}
}

// A merged record has any harmless terms around the include, before "all".
func TestMatchSPFOfMergedRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		terms := rapid.SliceOf(rapid.SampledFrom([]string{
			"a", "mx", "ip4:192.0.2.0/24", "-ip6:2001:db8::1", "include:_spf.acme.test", "?exists:%{i}.acme.test", "",
		}))
		before, after := terms.Draw(t, "before"), terms.Draw(t, "after")
		others := rapid.SliceOf(rapid.StringMatching(`[a-u][ -~]{0,30}`)).Draw(t, "other texts")
		with := append(append([]string{"v=spf1"}, before...), "include:"+include)
		with = append(append(with, after...), "~all")
		record := strings.Join(with, " ")
		if !dns.MatchSPF(append(others, record), include) {
			t.Fatalf("%q does not match", record)
		}
		if dns.MatchSPF(append(others, record, "v=spf1 -all"), include) {
			t.Fatal("two records match")
		}
		without := strings.Replace(record, "include:"+include, "", 1)
		if dns.MatchSPF(append(others, without), include) {
			t.Fatalf("%q matches", without)
		}
	})
}

func TestMatchTXTAmongOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringMatching(`[!-~][ -~]{0,40}[!-~]`).Draw(t, "want")
		observed := rapid.SliceOf(rapid.String()).Draw(t, "observed")
		place := rapid.IntRange(0, len(observed)).Draw(t, "place")
		with := append(append(append([]string{}, observed[:place]...), want), observed[place:]...)
		if !dns.MatchTXT(with, want) {
			t.Fatalf("%q not found in %q", want, with)
		}
		if dns.MatchTXT([]string{want + "x", "x" + want}, want) {
			t.Fatal("part of a text matches")
		}
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("v=spf1 include:amazonses.com ~all", "v=spf1 -all")
	f.Add("v=DMARC1; p=none", "v=DMARC1; p=reject")
	f.Add("10 feedback-smtp.us-east-1.amazonses.com", "")
	f.Add("v=spf1 ~all include:amazonses.com", "=;=;")
	f.Fuzz(func(t *testing.T, one, two string) {
		single, both := []string{one}, []string{one, two}
		if dns.MatchSPF(single, include) {
			if folded := strings.ToLower(one); !strings.HasPrefix(folded, "v=spf1 ") || !strings.Contains(folded, "include:"+include) {
				t.Errorf("%q passes as SPF", one)
			}
			if dns.MatchSPF([]string{one, one}, include) {
				t.Error("two SPF records pass")
			}
		}
		if dns.MatchSPF(both, include) != dns.MatchSPF([]string{two, one}, include) {
			t.Error("the order of SPF records matters")
		}
		if dns.MatchDMARC(single) && (!strings.Contains(one, "DMARC1") || dns.MatchDMARC([]string{one, one})) {
			t.Errorf("%q passes as DMARC", one)
		}
		if dns.MatchDMARC(both) != dns.MatchDMARC([]string{two, one}) {
			t.Error("the order of DMARC records matters")
		}
		if dns.MatchTXT(single, two) != dns.MatchTXT([]string{two}, one) {
			t.Error("equality of texts is not symmetric")
		}
		if dns.MatchCNAME(single, two) && !dns.MatchCNAME([]string{strings.TrimSuffix(one, ".")}, two) && !strings.HasSuffix(one, "..") {
			t.Errorf("the trailing dot of %q matters", one)
		}
		mx, err := dns.ParseMX(one)
		if err != nil {
			return
		}
		again, err := dns.ParseMX(mx.String())
		if !dns.MatchMX([]dns.MX{mx}, one) || (err == nil && !dns.MatchMX([]dns.MX{again}, mx.String())) {
			t.Errorf("%q does not match itself", one)
		}
	})
}
