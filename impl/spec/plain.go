package spec

import (
	"bytes"
	"reflect"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json/jsontext"
)

// plainRules are the rules of an object whose members are text. A body that is plainly within them is decoded and validated
// in one pass, which takes a fraction of the time of [Decode] and [Body.Validate]. Anything else, and whatever is in doubt,
// goes their way, and gets their problem.
type plainRules struct {
	members  map[string]plainMember
	required []string
}

// plainMember are the rules of a member that is text.
type plainMember struct {
	minLength, maxLength int
	pattern              openapi3.RegexMatcher
	format               openapi3.StringFormatValidator
}

// preparePlain returns nil for a schema that says more than can be judged here. So do members: those are left out.
func preparePlain(schema *openapi3.Schema) *plainRules {
	if !schema.Type.Is(openapi3.TypeObject) || schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has ||
		!saysNoMore(*schema, func(rest *openapi3.Schema) {
			rest.AdditionalProperties = openapi3.AdditionalProperties{}
			rest.Properties, rest.Required = nil, nil
		}) {
		return nil
	}
	rules := &plainRules{members: map[string]plainMember{}, required: schema.Required}
	for name, member := range schema.Properties {
		if prepared, ok := preparePlainMember(member.Value); ok {
			rules.members[name] = prepared
		}
	}
	for _, name := range rules.required {
		if _, found := rules.members[name]; !found {
			return nil
		}
	}
	return rules
}

func preparePlainMember(schema *openapi3.Schema) (member plainMember, ok bool) {
	if !schema.Type.Is(openapi3.TypeString) || schema.MaxLength == nil || !saysNoMore(*schema, func(rest *openapi3.Schema) {
		rest.Format, rest.Pattern, rest.MinLength, rest.MaxLength, rest.Nullable = "", "", 0, nil, false
	}) {
		return member, false
	}
	member.minLength, member.maxLength = int(schema.MinLength), int(*schema.MaxLength)
	if schema.Pattern != "" {
		var err error
		if member.pattern, err = CompilePattern(schema.Pattern); err != nil {
			return member, false
		}
	}
	if schema.Format != "" {
		check, found := formats()[schema.Format]
		if !found {
			return member, false
		}
		member.format = check
	}
	return member, true
}

// saysNoMore reports whether a schema has no rule but its type and those that known removes.
func saysNoMore(schema openapi3.Schema, known func(rest *openapi3.Schema)) bool {
	known(&schema)
	schema.Type, schema.Description, schema.Title, schema.Example, schema.Extensions, schema.Origin = nil, "", "", nil, nil, nil
	return reflect.ValueOf(schema).IsZero()
}

// accept decodes a body that is plainly within the rules.
func (rules *plainRules) accept(raw []byte) (members map[string]any, ok bool) {
	rest, ok := afterToken(raw, '{')
	if !ok {
		return nil, false
	}
	members = make(map[string]any, len(rules.members))
	for separator := byte(','); separator == ','; {
		var name, value []byte
		var escaped bool
		if name, escaped, rest, ok = text(rest); !ok || escaped {
			return nil, false
		}
		name = name[1 : len(name)-1]
		if rest, ok = afterToken(rest, ':'); !ok {
			return nil, false
		}
		if value, escaped, rest, ok = text(rest); !ok {
			return nil, false
		}
		if !rules.add(members, name, value, escaped) {
			return nil, false
		}
		if rest = bytes.TrimLeft(rest, whitespace); len(rest) == 0 || rest[0] != ',' && rest[0] != '}' {
			return nil, false
		}
		separator, rest = rest[0], rest[1:]
	}
	if len(bytes.TrimLeft(rest, whitespace)) > 0 {
		return nil, false
	}
	for _, name := range rules.required {
		if _, found := members[name]; !found {
			return nil, false
		}
	}
	return members, true
}

// whitespace is what JSON counts as such (RFC 8259, section 2).
const whitespace = " \t\r\n"

func (rules *plainRules) add(members map[string]any, name, raw []byte, escaped bool) bool {
	member, known := rules.members[string(name)]
	if _, twice := members[string(name)]; !known || twice {
		return false
	}
	var value []byte
	if escaped {
		var err error
		if value, err = jsontext.AppendUnquote(make([]byte, 0, len(raw)), raw); err != nil {
			return false
		}
	} else {
		value = raw[1 : len(raw)-1]
	}
	// Characters are at most as many as bytes, and at least a quarter. Empty text is judged elsewhere.
	if len(value) == 0 || len(value) > member.maxLength ||
		len(value) < utf8.UTFMax*member.minLength && utf8.RuneCount(value) < member.minLength {
		return false
	}
	text := string(value)
	if member.pattern != nil && !member.pattern.MatchString(text) || member.format != nil && member.format.Validate(text) != nil {
		return false
	}
	members[string(name)] = text
	return true
}

// afterToken returns what follows a character of JSON's own.
func afterToken(raw []byte, token byte) (rest []byte, ok bool) {
	raw = bytes.TrimLeft(raw, whitespace)
	if len(raw) == 0 || raw[0] != token {
		return nil, false
	}
	return raw[1:], true
}

// text returns the text at the beginning of raw, in its quotes, and what follows. ok is false for what JSON does not allow in
// text without escapes.
func text(raw []byte) (quoted []byte, escaped bool, rest []byte, ok bool) {
	raw = bytes.TrimLeft(raw, whitespace)
	if len(raw) == 0 || raw[0] != '"' {
		return nil, false, nil, false
	}
	for i := 1; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			quoted = raw[:i+1]
			return quoted, escaped, raw[i+1:], escaped || utf8.Valid(quoted)
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return nil, false, nil, false
		}
	}
	return nil, false, nil, false
}
