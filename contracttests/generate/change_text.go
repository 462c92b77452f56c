package generate

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

func (m Maker) stringChanges(t *rapid.T, schema *openapi3.Schema, value string) []change {
	if len(schema.Enum) > 0 {
		return enumChanges(t, schema, value)
	}
	format, known := m.format(schema.Format)
	found := m.lengthChanges(t, schema, !known)
	if known {
		found = append(found, change{what: "not a " + schema.Format, verdict: Wrong, apply: func() any {
			return format.Wrong.Draw(t, "not a "+schema.Format)
		}})
	}
	allowed := matcher(schema.Pattern)
	refused := filtered(slices.Concat(controls(), characters()), func(r rune) bool { return !allowed("a" + string(r) + "a") })
	if len(refused) > 0 {
		found = append(found, change{what: "a character that is refused", verdict: Wrong, apply: func() any {
			at := rapid.IntRange(0, utf8.RuneCountInString(value)).Draw(t, "place")
			runes := slices.Insert([]rune(value), at, rapid.SampledFrom(refused).Draw(t, "character"))
			return string(runes)
		}})
	}
	if known || schema.MaxLength != nil && utf8.RuneCountInString(value)+3 > int(*schema.MaxLength) {
		return found
	}
	// Only at the ends: in the middle they could split a phrase.
	letters := filtered(characters(), func(r rune) bool { return allowed(string(r)) && allowed(value+string(r)) && allowed(string(r)+value) })
	if len(letters) > 0 {
		found = append(found, change{what: "unusual characters", verdict: Right, apply: func() any {
			extra := rapid.StringOfN(rapid.SampledFrom(letters), 1, 3, -1).Filter(func(extra string) bool {
				return allowed(extra+value) && allowed(value+extra)
			}).Draw(t, "characters")
			return rapid.SampledFrom([]string{extra + value, value + extra}).Draw(t, "end")
		}})
	}
	return found
}

func enumChanges(t *rapid.T, schema *openapi3.Schema, value string) []change {
	return []change{{what: "not in the enum", verdict: Wrong, apply: func() any {
		return rapid.SampledFrom([]string{
			"", value + " ", value + "\x00", strings.ToUpper(value), "x" + value, value + "\u200b", "*", "none",
		}).Filter(func(s string) bool { return !slices.Contains(schema.Enum, any(s)) }).Draw(t, "outsider")
	}}}
}

// lengthChanges make strings at the length limits and beyond. A string at a limit may or may not have its format.
func (m Maker) lengthChanges(t *rapid.T, schema *openapi3.Schema, free bool) []change {
	var found []change
	sized := func(length int, verdict Verdict) {
		found = append(found, change{what: fmt.Sprintf("%d characters", length), verdict: verdict, apply: func() any {
			return repeated(t, schema, length)
		}})
	}
	if schema.MinLength > 0 {
		sized(int(schema.MinLength)-1, Wrong)
		if free {
			sized(int(schema.MinLength), Right)
		}
	}
	if schema.MaxLength != nil && *schema.MaxLength <= uint64(m.Longest) {
		sized(int(*schema.MaxLength)+1, Wrong)
		if free {
			sized(int(*schema.MaxLength), Right)
		}
	}
	return found
}

func numberChanges(schema *openapi3.Schema) []change {
	least, most := bounds(schema)
	set := func(number string, verdict Verdict) change {
		return change{what: number, verdict: verdict, apply: func() any { return json.Number(number) }}
	}
	text := func(number float64) string { return strconv.FormatFloat(number, 'f', -1, 64) }
	found := []change{set("1e999", Malformed), set(text(math.Ceil(least)), Right), set(text(math.Floor(most)), Right)}
	if schema.Min != nil {
		found = append(found, set(text(least-1), Wrong))
	}
	if schema.Max != nil {
		found = append(found, set(text(most+1), Wrong))
	}
	if schema.Type.Is("integer") {
		found = append(found, set(text(math.Ceil(least))+".5", Wrong))
	}
	return found
}
