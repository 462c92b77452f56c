package mail_test

import (
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/mail"
)

func TestParseListReads(t *testing.T) {
	t.Parallel()
	ann := mail.Address{Local: "ann", Domain: "example.com"}
	bob := mail.Address{Local: "bob", Domain: "example.org"}
	named := func(name string) mail.Address {
		return mail.Address{Name: name, Local: ann.Local, Domain: ann.Domain}
	}
	for given, want := range map[string][]mail.Address{
		"ann@example.com":                                     {ann},
		"<ann@example.com>":                                   {ann},
		" < ann@example.com > ":                               {ann},
		"ann@example.com,bob@example.org":                     {ann, bob},
		"ann@example.com ; bob@example.org":                   {ann, bob},
		"ann@example.com, ann@example.com":                    {ann, ann},
		"Ann <ann@example.com>":                               {named("Ann")},
		"Ann<ann@example.com>, bob@example.org":               {named("Ann"), bob},
		"Ann B. Lee <ann@example.com>":                        {named("Ann B. Lee")},
		`"Lee, Ann; x" <ann@example.com>;bob@example.org`:     {named("Lee, Ann; x"), bob},
		`"a \"<b>\" \\ (c) d:" <ann@example.com>`:             {named(`a "<b>" \ (c) d:`)},
		"Änn Łee <ann@example.com>":                           {named("Änn Łee")},
		"=?utf-8?q?=C3=84nn?= <ann@example.com>":              {named("Änn")},
		"=?utf-8?q?=C3=84?= =?utf-8?q?nn?= <ann@example.com>": {named("Änn")},
		"=?iso-8859-1?q?=C4nn?= <ann@example.com>":            {named("Änn")},
		"ann@example.com (Ann, (the; first))":                 {ann},
		`ann@example.com (a \) b), bob@example.org`:           {ann, bob},
		"Ann (the first) <ann@example.com>":                   {named("Ann")},
		`"" <ann@example.com>`:                                {ann},
		`"a, b"@example.com`:                                  {{Local: `"a, b"`, Domain: "example.com"}},
		`X <"a>b"@example.com>`:                               {{Name: "X", Local: `"a>b"`, Domain: "example.com"}},
	} {
		got, err := mail.ParseList(given)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %+v, %v", given, got, err)
		}
	}
}

func TestParseListRefuses(t *testing.T) {
	t.Parallel()
	for given, want := range notAddresses {
		if given == "ann@example.com b" || len(given) > 1<<10 {
			want = ""
		}
		wantError(t, "ParseList", given, want, second(mail.ParseList(given)))
	}
	for given, want := range map[string]string{
		",":                                       "address 1 of 2 is empty",
		"ann@example.com,":                        "address 2 of 2 is empty",
		"ann@example.com;;bob@example.org":        "address 2 of 3 is empty",
		"ann@example.com,bob":                     "address 2 of 2",
		"ann@example.com bob@example.org":         "",
		"Ann ann@example.com":                     "Name <address>",
		"Ann <ann@example.com> x":                 "closing angle bracket",
		"Ann <ann@example.com":                    "closing angle bracket",
		"Ann <ann@example.com>>":                  "",
		"Ann <<ann@example.com>>":                 "bracket",
		"Ann <Bob <bob@example.org>>":             "",
		"Ann <>":                                  "empty",
		"Team: ann@example.com, bob@example.org;": "groups",
		"Team:;":                    "groups",
		"Re: Ann <ann@example.com>": "colon",
		"<@a.example,@b.example:ann@example.com>":       "colon",
		`"Ann <ann@example.com>`:                        "quote",
		"ann@example.com (x":                            "comment",
		"ann@example.com )":                             "",
		"a@b <ann@example.com>":                         "name",
		"Ann [x] <ann@example.com>":                     "name",
		"=?utf-8?q?a=0D=0ABcc=3A_x?= <ann@example.com>": "control",
		"=?utf-8?b?AA==?= <ann@example.com>":            "control",
		"=?koi8-r?q?a?= <ann@example.com>":              "name",
		"ann@(c)example.com":                            "letters, digits",
		strings.Repeat("n", 201) + " <ann@example.com>": "200",
		strings.Repeat("(", 16<<10):                     "comment",
		strings.Repeat("a@b.c,", 3000):                  "16384",
	} {
		wantError(t, "ParseList", given, want, second(mail.ParseList(given)))
	}
}

func TestErrorsRepeatNoAddress(t *testing.T) {
	t.Parallel()
	for given := range notAddresses {
		if err := second(mail.ParseList("x@y.example," + given)); err == nil || strings.Contains(err.Error(), "ann") {
			t.Errorf("%.60q: %v", given, err)
		}
	}
}

// addresses draws addresses as ParseList returns them.
func addresses() *rapid.Generator[mail.Address] {
	return rapid.Custom(func(t *rapid.T) mail.Address {
		name := rapid.StringOfN(rapid.RuneFrom([]rune(`aZ9 "\,;:<>()@.=?_äß語🙂'`+"\u200b\u00a0")), 0, 60, -1).Draw(t, "name")
		local := rapid.StringMatching(`[a-zA-Z0-9!#$%&'*+/=?^_{|}~-]{1,20}(\.[a-z0-9]{1,20})?|"([a-z ,;<>()@:]|\\["\\a]){1,20}"`).Draw(t, "local")
		return mail.Address{
			Name:   strings.TrimSpace(name),
			Local:  local,
			Domain: rapid.StringMatching(`[a-z0-9]{1,10}(-[a-z0-9]{1,10})?\.(com|example|co\.uk)|xn--bcher-kva\.example`).Draw(t, "domain"),
		}
	})
}

func TestListRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(addresses(), 1, 10).Draw(t, "addresses")
		written := mail.FormatList(want)
		got, err := mail.ParseList(written)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q: got %+v, %v", written, got, err)
		}
	})
}

// Others must read what we write as we do: the standard library stands for them.
func TestStringIsReadAlikeByNetMail(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := addresses().Draw(t, "address")
		read, err := netmail.ParseAddress(a.String())
		if err != nil {
			t.Fatalf("%q: %v", a.String(), err)
		}
		// The library removes the quotes of a local part, and adds them again
		// when it writes the address in angle brackets.
		bare := strings.Trim((&netmail.Address{Address: read.Address}).String(), "<>")
		back, err := mail.ParseAddress(bare)
		if err != nil || read.Name != a.Name || back.Key() != a.Key() {
			t.Fatalf("%q was read as %+v", a.String(), read)
		}
	})
}

func FuzzParseList(f *testing.F) {
	for _, seed := range []string{
		"ann@example.com", `"Lee, Ann" <ann@example.com>; bob@example.org`, "Team: a@b.c;", `"a\"b"@x.example (c)`,
		"=?utf-8?q?=C3=84nn?= <ann@bücher.example>", "a@[::1]", "=?utf-8?b?w4Q=?= =?utf-8?b?w4Q=?= x <a@b.c>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		read, err := mail.ParseList(s)
		if err != nil {
			if len(err.Error()) > 200 {
				t.Fatalf("the error has %d octets", len(err.Error()))
			}
			return
		}
		written := mail.FormatList(read)
		if err := mail.CheckHeaderText(written); err != nil {
			t.Fatalf("%q was written, which %v", written, err)
		}
		again, err := mail.ParseList(written)
		if err != nil || !slices.Equal(read, again) {
			t.Fatalf("%q: read %+v, written %q, read %+v, %v", s, read, written, again, err)
		}
		for _, a := range read {
			checkAddress(t, a)
		}
	})
}

func checkAddress(t *testing.T, a mail.Address) {
	t.Helper()
	bare, err := mail.ParseAddress(a.Bare())
	if err != nil || bare.Bare() != a.Bare() || bare.Key() != a.Key() {
		t.Fatalf("%q does not survive: %+v, %v", a.Bare(), bare, err)
	}
	key, err := mail.ParseAddress(a.Key())
	if err != nil || key.Key() != a.Key() {
		t.Fatalf("the key %q is no address or not its own key: %v", a.Key(), err)
	}
	if utf8.RuneCountInString(a.Bare()) != len(a.Bare()) || len(a.Local) > 64 || len(a.Domain) > 253 {
		t.Fatalf("%q is not ASCII or too long", a.Bare())
	}
}
