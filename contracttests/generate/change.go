package generate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// Verdict is the judgment on a value under its schema.
type Verdict int

// The verdicts. A malformed text is refused whatever its schema: a duplicate member, too many levels.
const (
	Right Verdict = iota
	Wrong
	Malformed
)

// Case is a value, the changes that made it, and its verdict.
type Case struct {
	Value   any
	Verdict Verdict
	Changes []string
}

// change is one way to change a value.
type change struct {
	// member is the first step of the path to the change; empty means the value itself.
	member  string
	what    string
	verdict Verdict
	apply   func() any
}

// Near makes values that are a change or two away from valid ones. Some changes leave a value valid, such as a
// length exactly at its limit.
func (m Maker) Near(schema *openapi3.Schema) *rapid.Generator[Case] {
	return rapid.Custom(func(t *rapid.T) Case { return m.changed(t, schema, m.valid(t, schema)) })
}

// Changed makes a change or two to a valid value.
func (m Maker) Changed(schema *openapi3.Schema, value any) *rapid.Generator[Case] {
	return rapid.Custom(func(t *rapid.T) Case { return m.changed(t, schema, value) })
}

func (m Maker) changed(t *rapid.T, schema *openapi3.Schema, value any) Case {
	made := Case{Value: value}
	done := map[string]bool{}
	for range rapid.SampledFrom([]int{1, 1, 2}).Draw(t, "changes") {
		// A second change of the same member could make it valid again.
		possible := filtered(m.changes(t, schema, made.Value), func(c change) bool {
			return !done[c.member] && (c.member != "" || len(done) == 0)
		})
		if len(possible) == 0 || done[""] {
			break
		}
		one := choose(t, possible)
		made.Value, done[one.member] = one.apply(), true
		made.Changes = append(made.Changes, one.member+" "+one.what)
		made.Verdict = max(made.Verdict, one.verdict)
	}
	return made
}

// choose draws a member first and then a change of it. Rapid prefers what comes first, so drawing among all changes
// would always make the same few.
func choose(t *rapid.T, possible []change) change {
	var members []string
	for _, one := range possible {
		if one.member != "" && !slices.Contains(members, one.member) {
			members = append(members, one.member)
		}
	}
	if possible[len(possible)-1].member == "" {
		members = append(members, "")
	}
	member := rapid.SampledFrom(members).Draw(t, "member")
	return rapid.SampledFrom(filtered(possible, func(c change) bool { return c.member == member })).Draw(t, "change")
}

// changes returns the changes that can be made to a value of the schema. They draw random values only when they are
// applied.
func (m Maker) changes(t *rapid.T, schema *openapi3.Schema, value any) []change {
	// A value that was changed before may have another type than the schema's.
	var found []change
	switch value := value.(type) {
	case Object:
		if schema.Type.Is("object") && len(schema.Properties) > 0 {
			found = m.objectChanges(t, schema, value)
		} else if schema.Type.Is("object") {
			found = m.mapChanges(schema)
		}
	case []any:
		if schema.Type.Is("array") {
			found = m.listChanges(t, schema, value)
		}
	case string:
		if schema.Type.Is("string") {
			found = m.stringChanges(t, schema, value)
		}
	case json.Number:
		if schema.Type.Is("integer") || schema.Type.Is("number") {
			found = numberChanges(schema)
		}
	}
	return append(found, m.typeChanges(t, schema)...)
}

func (m Maker) typeChanges(t *rapid.T, schema *openapi3.Schema) []change {
	null := Wrong
	if schema.Nullable {
		null = Right
	}
	found := []change{
		{what: "null", verdict: null, apply: func() any { return nil }},
		{what: "nested too deep", verdict: Malformed, apply: func() any { return nest(33) }},
	}
	for kind, values := range map[string][]any{
		"string":  {"", "5", "true", "null", "[]", "{}"},
		"boolean": {true, false},
		"number":  {json.Number("0"), json.Number("5"), json.Number("-1.5"), json.Number("1e308"), json.Number("12345678901234567890")},
		"array":   {[]any{}, []any{"x"}, []any{nil}, nest(20)},
		"object":  {Object{}, Object{{"a", "b"}}, Object{{"$ref", "#"}}},
	} {
		if !schema.Type.Is(kind) && (kind != "number" || !schema.Type.Is("integer")) {
			found = append(found, change{
				what: "of type " + kind, verdict: Wrong,
				apply: func() any { return rapid.SampledFrom(values).Draw(t, kind) },
			})
		}
	}
	// Sort, because the order of a map is random.
	slices.SortFunc(found, func(a, b change) int { return strings.Compare(b.what, a.what) })
	return found
}

func (m Maker) objectChanges(t *rapid.T, schema *openapi3.Schema, value Object) []change {
	unknown := change{member: "+", what: "an unknown member", verdict: closed(schema), apply: func() any {
		name := rapid.SampledFrom([]string{"x", "", "a/b~c", "__proto__", "\U0001f389", "\x00", "from\u200b", "id"}).
			Filter(func(name string) bool { return schema.Properties[name] == nil }).Draw(t, "name")
		at := rapid.IntRange(0, len(value)).Draw(t, "place")
		return slices.Insert(slices.Clone(value), at, Member{name, m.anything(t, 2)})
	}}
	var found []change
	for _, name := range propertyNames(schema) {
		found = append(found, m.memberChanges(t, schema, value, name)...)
	}
	return append(found, unknown)
}

// closed returns the verdict on a member that the schema does not list.
func closed(schema *openapi3.Schema) Verdict {
	if has := schema.AdditionalProperties.Has; has != nil && !*has {
		return Wrong
	}
	return Right
}

func (m Maker) memberChanges(t *rapid.T, schema *openapi3.Schema, value Object, name string) []change {
	inner := schema.Properties[name].Value
	at := slices.IndexFunc(value, func(member Member) bool { return member.Name == name })
	if at < 0 {
		return nil
	}
	omitted := Right
	if slices.Contains(schema.Required, name) {
		omitted = Wrong
	}
	found := []change{
		{member: name, what: "left out", verdict: omitted, apply: func() any { return value.without(name) }},
		{member: name, what: "given twice", verdict: Malformed, apply: func() any {
			return append(slices.Clone(value), value[at])
		}},
	}
	for _, other := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
		found = append(found, change{
			member: name, what: "called " + other, verdict: max(omitted, closed(schema)),
			apply: func() any { return append(value.without(name), Member{other, value[at].Value}) },
		})
	}
	if judgedOneByOne(inner) {
		return found
	}
	for _, one := range m.changes(t, inner, value[at].Value) {
		found = append(found, change{
			member: name, what: strings.TrimSpace(one.member + " " + one.what), verdict: one.verdict,
			apply: func() any { return value.with(name, one.apply()) },
		})
	}
	return found
}

// judgedOneByOne reports whether the caller judges the items of a list one by one: an invalid item does not make
// the list invalid.
func judgedOneByOne(schema *openapi3.Schema) bool {
	return schema.Extensions["x-validate-items"] != nil
}

func (m Maker) mapChanges(schema *openapi3.Schema) []change {
	if schema.MaxProps == nil || *schema.MaxProps > uint64(m.Longest) {
		return nil
	}
	members := func(n int) any {
		made := make(Object, n)
		for i := range made {
			made[i] = Member{fmt.Sprint(i), true}
		}
		return made
	}
	most := int(*schema.MaxProps)
	return []change{
		{what: fmt.Sprintf("%d members", most), verdict: Right, apply: func() any { return members(most) }},
		{what: fmt.Sprintf("%d members", most+1), verdict: Wrong, apply: func() any { return members(most + 1) }},
	}
}

func (m Maker) listChanges(t *rapid.T, schema *openapi3.Schema, value []any) []change {
	var found []change
	sized := func(length int, verdict Verdict) {
		found = append(found, change{what: fmt.Sprintf("%d items", length), verdict: verdict, apply: func() any {
			if verdict == Right {
				return m.items(t, schema, length)
			}
			return slices.Repeat([]any{m.valid(t, schema.Items.Value)}, length)
		}})
	}
	if schema.MinItems > 0 {
		sized(int(schema.MinItems)-1, Wrong)
		sized(int(schema.MinItems), Right)
	}
	if schema.MaxItems != nil && *schema.MaxItems <= uint64(m.Longest) {
		sized(int(*schema.MaxItems), Right)
		sized(int(*schema.MaxItems)+1, Wrong)
	}
	if len(value) == 0 {
		return found
	}
	if schema.UniqueItems {
		found = append(found, change{what: "an item twice", verdict: Wrong, apply: func() any {
			return append(slices.Clone(value), value[0])
		}})
	}
	for _, one := range m.changes(t, schema.Items.Value, value[0]) {
		// A valid item may be in the list already.
		if one.verdict == Right && schema.UniqueItems {
			continue
		}
		found = append(found, change{what: "0 " + strings.TrimSpace(one.member+" "+one.what), verdict: one.verdict, apply: func() any {
			return append([]any{one.apply()}, value[1:]...)
		}})
	}
	return found
}
