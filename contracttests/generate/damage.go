package generate

import (
	"strings"

	"pgregory.net/rapid"
)

// Damaged makes texts that are not JSON from the text of an object or list, and names the damage.
func Damaged(whole string) *rapid.Generator[Damage] {
	return rapid.Custom(func(t *rapid.T) Damage {
		kinds := []damaging{cutOff, followed, preceded}
		if strings.Contains(whole, `"`) {
			kinds = append(kinds, spoiled)
		}
		if strings.HasPrefix(whole, "{") {
			kinds = append(kinds, misspelt)
		}
		return rapid.SampledFrom(kinds).Draw(t, "damage")(t, whole)
	})
}

// Damage is a damaged text and what was done to it.
type Damage struct{ Text, What string }

type damaging func(t *rapid.T, whole string) Damage

func cutOff(t *rapid.T, whole string) Damage {
	// The last bracket is cut off, with any white space after it.
	end := len(strings.TrimRight(whole, " \r\n\t")) - 1
	return Damage{whole[:rapid.IntRange(0, end).Draw(t, "length")], "cut off"}
}

func followed(t *rapid.T, whole string) Damage {
	extra := rapid.SampledFrom([]string{"x", "}", "]", ",", "{}", "null", "\x00", "\ufeff", "//", whole}).Draw(t, "extra")
	return Damage{whole + extra, "followed by data"}
}

func preceded(t *rapid.T, whole string) Damage {
	extra := rapid.SampledFrom([]string{"\ufeff", "x", ",", "\x00", "\v", "\u00a0", "/**/", "{}", ")]}',\n"}).Draw(t, "extra")
	return Damage{extra + whole, "preceded by data"}
}

// spoiled inserts into a string what no string may contain: half of a surrogate pair, bytes that are not UTF-8 (a
// stray one, an overlong form, a surrogate, beyond the last plane), raw control characters, unknown escapes.
func spoiled(t *rapid.T, whole string) Damage {
	var starts []int
	quoted := false
	for i := 0; i < len(whole); i++ {
		switch {
		case quoted && whole[i] == '\\':
			i++
		case whole[i] == '"':
			if quoted = !quoted; quoted {
				starts = append(starts, i+1)
			}
		}
	}
	at := rapid.SampledFrom(starts).Draw(t, "place")
	poison := rapid.SampledFrom([]string{
		`\ud83d`, `\udc00`, `\udc00\ud83d`, `\ud83d\ud83d`, `\uD800x`,
		"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82",
		"\x00", "\x01", "\n", "\x1f", `\x41`, `\u12 `, `\u00g0`, `\'`, `\U0001f389`,
	}).Draw(t, "poison")
	return Damage{whole[:at] + poison + whole[at:], "a string that is none"}
}

func misspelt(t *rapid.T, whole string) Damage {
	member := rapid.SampledFrom([]string{
		`"z":NaN,`, `"z":Infinity,`, `"z":007,`, `"z":+1,`, `"z":.5,`, `"z":1.,`, `"z":0x1,`, `"z":1e999,`, `"z":True,`, `"z":nul,`,
		`'z':1,`, `z:1,`, `"z" 1,`, `"z":,`, `"z":1;`, `"z":[1,],`, `,`, `"z":1,"z":1,`, `1:1,`, `"z":"\`,
	}).Draw(t, "member")
	return Damage{whole[:1] + member + whole[1:], "a member that is none"}
}
