package apikey_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/voostack/mailstack/impl/apikey"
)

func newKey(t *testing.T) apikey.Key {
	t.Helper()
	made, err := apikey.New(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestNewKeyIsReadBack(t *testing.T) {
	t.Parallel()
	made, other := newKey(t), newKey(t)
	read, err := apikey.Parse(made.Reveal())
	if err != nil || read.Prefix != made.Prefix || read.Secret != made.Secret {
		t.Fatalf("read back: %v", err)
	}
	if made.Prefix == other.Prefix || made.Secret == other.Secret {
		t.Fatal("two keys are alike")
	}
	sum := sha256.Sum256([]byte(made.Secret))
	if !bytes.Equal(made.Hash(), sum[:]) || !made.Matches(sum[:]) {
		t.Fatal("the hash is not the SHA-256 of the secret")
	}
	for _, wrong := range [][]byte{other.Hash(), nil, {}, sum[:31], append(sum[:], 0)} {
		if made.Matches(wrong) {
			t.Errorf("matches %x", wrong)
		}
	}
}

// Every byte of the random source is drawn once: bytes that would favour some characters must be skipped, and the
// others give each character equally often.
func TestPrefixIsUnbiased(t *testing.T) {
	t.Parallel()
	drawn := map[rune]int{}
	for start := 0; start < 252; start += 8 {
		var source []byte
		for b := start; b < min(start+8, 252); b++ {
			source = append(source, 252+byte(b%4), byte(b))
		}
		// The last draw has only four bytes of its own; the next repeat the first.
		for b := 0; len(source) < 16; b++ {
			source = append(source, 252, byte(b))
		}
		made, err := apikey.New(io.MultiReader(bytes.NewReader(source), rand.Reader))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range made.Prefix {
			if start+i < 252 {
				drawn[c]++
			}
		}
	}
	if len(drawn) != 36 {
		t.Fatalf("%d characters were drawn", len(drawn))
	}
	for c, n := range drawn {
		if n != 7 {
			t.Errorf("%q was drawn %d times", c, n)
		}
	}
}

func TestNewFailsWithItsSource(t *testing.T) {
	t.Parallel()
	stuck := bytes.NewReader(bytes.Repeat([]byte{0xff}, 1<<16))
	for name, source := range map[string]io.Reader{
		"empty": strings.NewReader(""), "short": strings.NewReader("0123456789"), "stuck": stuck,
	} {
		if _, err := apikey.New(source); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := apikey.Key{Prefix: "abcd0123", Secret: strings.Repeat("A", 43)}.Reveal()
	if _, err := apikey.Parse(good); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{
		"", "ms_live_", good + "A", good[:59], " " + good, good + " ", good + "\n", good[:59] + "\n",
		strings.Replace(good, "live", "test", 1), strings.ToUpper(good), strings.Replace(good, "abcd", "ABCD", 1),
		strings.Replace(good, "abcd", "ab_d", 1), strings.Replace(good, "3_A", "3-A", 1), good[:59] + "=",
		good[:59] + "B", good[:58] + "\r\n", good[:59] + "+", good[:59] + "/", "Bearer " + good,
		apikey.Mask("abcd0123"), strings.Repeat("ms_live_", 1<<16),
	} {
		if _, err := apikey.Parse(given); !errors.Is(err, apikey.ErrMalformed) || len(err.Error()) > 40 {
			t.Errorf("%.80q: %v", given, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ms_live_abcd0123_" + strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, s string) {
		if read, err := apikey.Parse(s); err == nil && read.Reveal() != s {
			t.Fatalf("%q has a second spelling", s)
		}
	})
}

func TestKeyNeverLeaks(t *testing.T) {
	t.Parallel()
	secret := newKey(t)
	holder := struct {
		Key apikey.Key
		Ptr *apikey.Key
	}{secret, &secret}
	var written []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%100s", "%!"} {
		written = append(written, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, &secret), fmt.Sprintf(verb, []apikey.Key{secret}),
			fmt.Sprintf(verb, holder))
	}
	document, err := json.Marshal(map[string]any{"holder": holder})
	if err != nil {
		t.Fatal(err)
	}
	written = append(written, string(document), fmt.Sprint(secret), fmt.Errorf("key %w", fmt.Errorf("%v", secret)).Error())
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("x", "key", secret, "pointer", &secret, "holder", holder, "list", []apikey.Key{secret})
	}
	written = append(written, log.String())
	for _, text := range written {
		if strings.Contains(text, secret.Secret) || strings.Contains(text, fmt.Sprintf("%x", secret.Secret)) {
			t.Errorf("the secret is in %q", text)
		}
	}
	if fmt.Sprint(secret) != "ms_live_"+secret.Prefix+"_••••" || secret.String() != apikey.Mask(secret.Prefix) {
		t.Errorf("masked as %v", secret)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	all := apikey.Scopes()
	if len(all) != 13 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 13 || all[0] != "emails:send" {
		t.Errorf("scopes: %q", all)
	}
	have := []string{"emails:send", "domains:read"}
	for _, c := range []struct {
		anyOf []string
		want  bool
	}{
		{[]string{"emails:send"}, true},
		{[]string{"emails:read", "emails:send"}, true},
		{[]string{"emails:read"}, false},
		{[]string{"emails"}, false},
		{nil, false},
	} {
		if got := apikey.Covers(have, c.anyOf); got != c.want {
			t.Errorf("Covers(%q) is %v", c.anyOf, got)
		}
	}
	if apikey.Covers(nil, []string{"emails:send"}) {
		t.Error("no scopes cover one")
	}
	if got := apikey.Missing(have, []string{"domains:write", "domains:read", "billing:read"}); !slices.Equal(got, []string{"domains:write", "billing:read"}) {
		t.Errorf("Missing is %q", got)
	}
	if got := apikey.Missing(have, have); got != nil {
		t.Errorf("Missing is %q", got)
	}
}
