package generate

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// Maker makes values for schemas.
type Maker struct {
	// Formats are the known string formats. A schema with an unknown format panics.
	Formats map[string]Format
	// Phrases are inserted into some strings, where their pattern allows it. Maps get members named for the phrases
	// in double braces.
	Phrases []string
	// Longest bounds the strings, in characters, and the lists that are made to reach a limit.
	Longest int
}

// Format makes strings that have a format and strings that do not have it.
type Format struct{ Right, Wrong *rapid.Generator[string] }

// Valid makes values that the schema allows.
func (m Maker) Valid(schema *openapi3.Schema) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any { return m.valid(t, schema) })
}

func (m Maker) valid(t *rapid.T, schema *openapi3.Schema) any {
	switch {
	case schema.Nullable && rapid.IntRange(0, 5).Draw(t, "null") == 5:
		return nil
	case len(schema.Enum) > 0:
		return rapid.SampledFrom(schema.Enum).Draw(t, "enum")
	case schema.Type.Is("string"):
		return m.validString(t, schema)
	case schema.Type.Is("boolean"):
		return rapid.Bool().Draw(t, "boolean")
	case schema.Type.Is("integer"), schema.Type.Is("number"):
		return validNumber(t, schema)
	case schema.Type.Is("array"):
		shortest, longest := int(schema.MinItems), m.end(schema.MaxItems)
		return m.items(t, schema, rapid.IntRange(shortest, min(longest, shortest+3)).Draw(t, "items"))
	case schema.Type.Is("object") && len(schema.Properties) > 0:
		return m.validObject(t, schema)
	case schema.Type.Is("object"):
		return m.validMap(t, schema)
	}
	panic(fmt.Sprintf("no value is known for a schema of type %v", schema.Type))
}

// end returns the upper bound of a length: its limit, or Longest when that is lower.
func (m Maker) end(limit *uint64) int {
	if limit == nil || *limit > uint64(m.Longest) {
		return m.Longest
	}
	return int(*limit)
}

func (m Maker) format(name string) (Format, bool) {
	format, known := m.Formats[name]
	if !known && name != "" {
		panic(fmt.Sprintf("no strings are known for the format %q", name))
	}
	return format, known
}

func (m Maker) validString(t *rapid.T, schema *openapi3.Schema) string {
	if format, known := m.format(schema.Format); known {
		return format.Right.Draw(t, schema.Format)
	}
	return m.text(t, schema, int(schema.MinLength), m.end(schema.MaxLength))
}

func validNumber(t *rapid.T, schema *openapi3.Schema) json.Number {
	least, most := bounds(schema)
	if schema.Type.Is("integer") {
		return json.Number(strconv.FormatInt(rapid.Int64Range(int64(least), int64(most)).Draw(t, "integer"), 10))
	}
	return json.Number(strconv.FormatFloat(rapid.Float64Range(least, most).Draw(t, "number"), 'g', -1, 64))
}

// bounds returns the bounds of a number, within the integers that every JSON reader keeps exactly.
func bounds(schema *openapi3.Schema) (least, most float64) {
	least, most = -(1<<53 - 1), 1<<53-1
	if schema.Min != nil {
		least = *schema.Min
	}
	if schema.Max != nil {
		most = *schema.Max
	}
	return least, most
}

// items returns length items, all different where the schema requires it.
func (m Maker) items(t *rapid.T, schema *openapi3.Schema, length int) []any {
	item := m.Valid(schema.Items.Value)
	if !schema.UniqueItems {
		return rapid.SliceOfN(item, length, length).Draw(t, "list")
	}
	if values := schema.Items.Value.Enum; values != nil {
		return slices.Clone(rapid.Permutation(values).Draw(t, "order")[:length])
	}
	return rapid.SliceOfNDistinct(item, length, length, func(v any) string { return Write(v, Style{}) }).Draw(t, "list")
}

func (m Maker) validObject(t *rapid.T, schema *openapi3.Schema) Object {
	var made Object
	for _, name := range rapid.Permutation(propertyNames(schema)).Draw(t, "order") {
		if slices.Contains(schema.Required, name) || rapid.Bool().Draw(t, "with "+name) {
			made = append(made, Member{name, m.valid(t, schema.Properties[name].Value)})
		}
	}
	return made
}

// propertyNames returns the names in a fixed order, so that a seed makes the same value again.
func propertyNames(schema *openapi3.Schema) []string {
	return slices.Sorted(maps.Keys(schema.Properties))
}

// validMap makes members of any name. Half of the maps have a simple value for the names in phrases.
func (m Maker) validMap(t *rapid.T, schema *openapi3.Schema) Object {
	made := Object{}
	for range rapid.IntRange(0, min(3, m.end(schema.MaxProps))).Draw(t, "members") {
		made = made.with(m.name(t), m.anything(t, rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3, 6, 7, 8, 9}).Draw(t, "depth")))
	}
	if names := m.named(); len(names) > 0 && m.end(schema.MaxProps) > 3 && rapid.Bool().Draw(t, "named") {
		simple := []any{"Sam", "", "a\nb", "\u0085", strings.Repeat("v", 1000), json.Number("0"), json.Number("1.5"), true}
		made = made.with(rapid.SampledFrom(names).Draw(t, "name"), rapid.SampledFrom(simple).Draw(t, "value"))
	}
	return made
}

// named returns the names in phrases such as {{name}}.
func (m Maker) named() []string {
	var names []string
	for _, phrase := range m.Phrases {
		if inner, braced := strings.CutPrefix(phrase, "{{"); braced {
			names = append(names, strings.TrimSuffix(inner, "}}"))
		}
	}
	return names
}

// name returns the name of a member, usually an ordinary one.
func (m Maker) name(t *rapid.T) string {
	names := append([]string{"a", "a.b", "\u00e4", "\U0001f389", "__proto__"}, m.named()...)
	if rapid.IntRange(0, 19).Draw(t, "odd") == 7 {
		names = []string{"", "a\nb", strings.Repeat("n", 200), strings.Repeat("n", 201), strings.Repeat("\u00e9", 101)}
	}
	return rapid.SampledFrom(names).Draw(t, "name")
}

// anything returns any JSON value of at most depth levels.
func (m Maker) anything(t *rapid.T, depth int) any {
	switch kind := rapid.IntRange(0, 6).Draw(t, "kind"); {
	case kind == 0:
		return nil
	case kind == 1:
		return rapid.Bool().Draw(t, "boolean")
	case kind == 2:
		return rapid.SampledFrom([]json.Number{
			"0", "-0", "1", "-1.5", "1e6", "1E-400", "9007199254740991", "-9007199254740991", "9007199254740992", "1e308", "0.1",
		}).Draw(t, "number")
	case kind == 3 && depth > 0:
		return Object{{m.name(t), m.anything(t, depth-1)}}
	case kind == 4 && depth > 0:
		return []any{m.anything(t, depth-1)}
	case kind == 5 && depth > 1:
		return nest(depth)
	}
	letters := characters()
	if rapid.IntRange(0, 9).Draw(t, "odd") == 7 {
		letters = controls()
	}
	return rapid.StringOfN(rapid.SampledFrom(letters), 0, 5, -1).Draw(t, "string")
}

// nest returns a list in a list, levels deep.
func nest(levels int) any {
	value := []any{}
	for range levels - 1 {
		value = []any{value}
	}
	return value
}

// compiled converts the escapes of the spec's expressions from ECMAScript to Go, and compiles them.
func compiled(pattern string) *regexp.Regexp {
	return regexp.MustCompile(regexp.MustCompile(`\\u([0-9a-fA-F]{4})`).ReplaceAllString(pattern, `\x{$1}`))
}
