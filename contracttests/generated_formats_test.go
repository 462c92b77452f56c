package contracttests

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/contracttests/generate"
)

// maker makes values for the schemas of the spec: strings for its formats, and phrases that mean something.
func (w *world) maker() generate.Maker {
	return generate.Maker{
		Formats: map[string]generate.Format{
			"uuid":           {Right: often(rapid.Just(w.published.String()), anyUUID()), Wrong: notUUID()},
			"date-time":      {Right: rapid.OneOf(dateTime(), rapid.SampledFrom(w.times)), Wrong: rapid.SampledFrom(notTimes)},
			"mailbox":        {Right: w.mailbox(), Wrong: rapid.SampledFrom(append(notLists, notMailboxes...))},
			"mailbox-list":   {Right: mailboxList(), Wrong: rapid.SampledFrom(notLists)},
			"tag-list":       {Right: tagList(), Wrong: rapid.SampledFrom(notTags)},
			"sending-domain": {Right: w.sendingDomain(), Wrong: rapid.SampledFrom(notDomains)},
			"uri":            {Right: rapid.SampledFrom(webhookURLs), Wrong: rapid.SampledFrom(notWebhookURLs)},
			"dns-label":      {Right: label(63), Wrong: rapid.SampledFrom([]string{"", "-a", "a-", "a.b", "a_b", "ä", "a b", "*", strings.Repeat("a", 64)})},
		},
		Phrases: []string{placeholder, "<b>&amp;</b>"},
		Longest: 20_000,
	}
}

var webhookURLs = []string{
	"https://example.com", "https://example.com/a?b=c", "https://example.com:8443/", "https://bücher.example/", "https://8.8.8.8/x",
}

var notWebhookURLs = []string{
	"http://example.com", "ftp://example.com", "example.com", "//example.com", "https://", "https://user@example.com/", "https://example.com/#a",
	"https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/", "javascript:alert(1)",
}

// placeholder is the one in generated texts; the variable that it names sometimes has a value.
const placeholder = "{{name}}"

// often draws from usual four times out of five.
func often(usual, other *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.OneOf(usual, usual, usual, usual, other)
}

func dateTime() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		year := rapid.SampledFrom([]int{0, 1, 1969, 1970, 2025, 2038, 2099, 9998}).Draw(t, "year")
		at := time.Date(year, 1, 1, 0, 0, rapid.IntRange(0, 366*86400).Draw(t, "second"), 0, time.UTC)
		fraction := rapid.SampledFrom([]string{"", ".0", ".123456", ".999999999", ".1234567890123"}).Draw(t, "fraction")
		zone := rapid.SampledFrom([]string{"Z", "+00:00", "-00:00", "+05:30", "-12:00", "+14:00"}).Draw(t, "zone")
		return at.Format("2006-01-02T15:04:05") + fraction + zone
	}).Filter(func(s string) bool {
		// The year must have four digits in UTC too.
		at, err := time.Parse(time.RFC3339, s)
		return err == nil && at.UTC().Year() >= 0
	})
}

var notTimes = []string{
	"", "2099", "2099-01-01", "2099-01-01T00:00:00", "2099-01-01 00:00:00Z", "2099-13-01T00:00:00Z", "2099-02-29T00:00:00Z",
	"2099-01-01T24:00:00Z", "2099-01-01T00:00:00,5Z", "2099-01-01T0:00:00Z", "2099-01-01T00:00:00+24:00", "2099-01-01T00:00:00.Z",
	"9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00", "10000-01-01T00:00:00Z", "4070908800", " 2099-01-01T00:00:00Z",
	"2099-01-01T00:00:00Z ", "２０99-01-01T00:00:00Z", "2099-01-01T00:00:60Z", "never", "infinity",
}

// locals are valid local parts. Case, dots, plus and quotes affect suppression only as the contract says.
var locals = []string{
	"a", "user", "USER", "first.last", "a+b", "!#$%&'*+-/=?^_`{|}~", `"quoted"`, `"with space"`, `"a@b"`, `"a,b;c"`, `"a\"b"`, "0", strings.Repeat("l", 64),
}

// mailbox makes senders: mostly of the verified domain or below it, sometimes of another.
func (w *world) mailbox() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		domain := rapid.SampledFrom([]string{
			w.domain, "sub." + w.domain, "a.b." + w.domain, strings.ToUpper(w.domain),
		}).Draw(t, "domain")
		if rapid.IntRange(0, 15).Draw(t, "stranger") == 7 {
			domain = rapid.SampledFrom([]string{"elsewhere.test", "b\u00fccher.example", "x" + w.domain}).Draw(t, "domain")
		}
		address := rapid.SampledFrom(locals).Draw(t, "local") + "@" + domain
		return rapid.SampledFrom([]string{"", "", "", " "}).Draw(t, "space") + address
	})
}

// mailboxList makes lists in which every address, and nothing else, ends in countable, so that the number of
// addresses is known. Some lists contain the suppressed address.
func mailboxList() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		count := rapid.SampledFrom([]int{1, 1, 1, 1, 1, 2, 2, 3, 3, 16, 17, 49, 50}).Draw(t, "addresses")
		var list strings.Builder
		for i := range count {
			if i > 0 {
				list.WriteString(rapid.SampledFrom([]string{",", ";", ", ", " ; "}).Draw(t, "separator"))
			}
			// Only the first addresses are unusual, because the field has a maximum length.
			if i > 2 {
				fmt.Fprintf(&list, "u%d@x"+countable, i)
				continue
			}
			list.WriteString(mailboxElement().Draw(t, "element"))
		}
		return list.String()
	})
}

const (
	countable  = ".example"
	suppressed = "gone@r" + countable
	// theirs is suppressed by another organization.
	theirs = "theirs@r" + countable
)

func mailboxElement() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		address := rapid.SampledFrom(locals).Draw(t, "local") +
			rapid.SampledFrom([]string{"@r", "@R.S", "@b\u00fccher", "@xn--bcher-kva", "@1.a-b"}).Draw(t, "domain") + countable
		if rapid.IntRange(0, 39).Draw(t, "suppressed") == 7 {
			address = rapid.SampledFrom([]string{suppressed, strings.ToUpper(suppressed), `"gone"@r` + countable}).Draw(t, "address")
			address = strings.Replace(address, strings.ToUpper(countable), countable, 1)
		}
		return strings.Replace(rapid.SampledFrom([]string{
			"*", "*", "<*>", "Sam <*>", `"Lee, Ann; @" <*>`, "\u00c4nn \U0001f389 <*>", "=?utf-8?q?=C3=84nn?= <*>", "* (a, comment)",
			"(x) *", "\u202eevil <*>", `"\\\"" <*>`, "\u05d0\u0301 <*>",
		}).Draw(t, "form"), "*", address, 1)
	})
}

var notLists = []string{
	"user", "@example.com", "user@", "user@localhost", "user@127.0.0.1", "user@[127.0.0.1]", "us er@example.com", ".u@example.com",
	"u..u@example.com", "u@example..com", "u@-a.com", "u@a_b.com", "u@example.com.", "\u00e9@example.com", `"u@example.com`, `""@example.com`,
	"a@b@example.com", "mailto:u@example.com", "<u@example.com", "u@example.com>", "Sam", ",,,", "a@b.cc,", ",a@b.cc", "a@b.cc,,c@d.ee",
	"team: a@b.cc;", "a@b.cc (x", "a@b <c@d.ee>", strings.Repeat("l", 65) + "@example.com", "u@" + strings.Repeat("a", 64) + ".com",
	"u@xn--a.example", "=?utf-8?q?a=0D=0ABcc:_b?= <a@b.cc>", strings.Repeat("n", 201) + " <a@b.cc>", "   ", "u@exa\u202emple.com",
	"u@ex\u0301\u0301ample .com", "<@a.bb:u@b.cc>", "u@b.1", strings.Repeat(" ", 16_384) + "a@b.cc",
}

// notMailboxes are more than an address.
var notMailboxes = []string{"a@b.cc,c@d.ee", "a@b.cc; c@d.ee", "Sam <a@b.cc>", "<a@b.cc>", "a@b.cc (x)"}

func tagList() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		tags := rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "A-z_0.9", " spaced ", "-", ".", "a", strings.Repeat("t", 64),
		}), 0, 10).Draw(t, "tags")
		return strings.Join(tags, ",")
	})
}

var notTags = []string{
	"a b", "a,,b", ",", "a,", "\u00e9", "a/b", "a;b", "a\u200bb", strings.Repeat("t", 65), "a,b,c,d,e,f,g,h,i,j,k", "\uff21", "<b>", "{{name}}",
}

func label(longest int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		length := rapid.SampledFrom([]int{1, 2, 7, longest - 1, longest}).Draw(t, "length")
		made := rapid.StringOfN(rapid.SampledFrom([]rune("abzAZ09-")), length, length, -1).Draw(t, "label")
		return rapid.SampledFrom([]string{"a", "Z", "9"}).Draw(t, "first")[:1] + strings.TrimRight(made[1:], "-")
	})
}

// sendingDomain makes names that can be registered, up to the 209 octets that leave room for DKIM records, and now
// and then a name that the organization has.
func (w *world) sendingDomain() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		made := rapid.OneOf(
			rapid.Map(label(63), func(s string) string { return s + ".test" }),
			rapid.Map(label(63), func(s string) string { return "b\u00fccher." + plainLabel(s) + ".test" }),
			rapid.Map(label(20), func(s string) string { return plainLabel(s) + ".xn--bcher-kva.test" }),
			rapid.Map(rapid.SampledFrom([]int{140, 188, 189, 190, 203, 204, 205}), longDomain),
			rapid.SampledFrom([]string{w.domain, strings.ToUpper(w.domain), "sub." + w.domain}),
		).Draw(t, "name")
		return made + rapid.SampledFrom([]string{"", "", "."}).Draw(t, "dot")
	}).Filter(func(s string) bool { return len(s) <= 210 && !strings.HasPrefix(strings.ToLower(s), "xn--") })
}

// plainLabel removes double hyphens, which IDNA refuses in an international name.
func plainLabel(label string) string { return strings.ReplaceAll(label, "--", "-a") }

// longDomain returns a name of octets octets, followed by ".test".
func longDomain(octets int) string {
	rest := octets - 180
	if rest < 1 {
		return strings.Repeat(strings.Repeat("d", 49)+".", octets/50) + "test"
	}
	return strings.Repeat(strings.Repeat("d", 59)+".", 3) + strings.Repeat("d", rest) + ".test"
}

var notDomains = []string{
	"test", "localhost", "com", "co.uk", "github.io", "*.example.test", "a..test", ".a.test", "a.test..", "-a.test", "a-.test", "a_b.test",
	"127.0.0.1", "[::1]", "a.1", "http://a.test", "a.test:80", "a@b.test", "a b.test", " a.test", "a.test ", "xn--a.test", "\u200b.test",
	strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 130) + "test", "a/b.test", "a\u00a0b.test", "\U0001f389\u202e.test",
}
