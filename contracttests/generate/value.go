package generate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Object is a JSON object. Its members keep their order and may be duplicated. Values are nil, bool, string,
// json.Number, []any and Object.
type Object []Member

// Member is a name with its value.
type Member struct {
	Name  string
	Value any
}

// Get returns the value of a member; nil when it is null or absent.
func (o Object) Get(name string) any {
	for _, member := range o {
		if member.Name == name {
			return member.Value
		}
	}
	return nil
}

// Text returns the string value of a member; empty when it is not a string.
func (o Object) Text(name string) string {
	text, _ := o.Get(name).(string)
	return text
}

func (o Object) with(name string, value any) Object {
	changed := slices.Clone(o)
	for i := range changed {
		if changed[i].Name == name {
			changed[i].Value = value
			return changed
		}
	}
	return append(changed, Member{name, value})
}

func (o Object) without(name string) Object {
	return slices.DeleteFunc(slices.Clone(o), func(member Member) bool { return member.Name == name })
}

// Style is one of the ways to write a value.
type Style struct {
	// Escaped writes as \u escapes every character outside ASCII, and the first of every string.
	Escaped bool
	// Spaced writes white space wherever JSON allows it.
	Spaced bool
}

// Write returns the text of a value.
func Write(value any, style Style) string {
	w := writer{style: style}
	w.value(value)
	return w.text.String()
}

type writer struct {
	style Style
	text  strings.Builder
}

func (w *writer) token(s string) {
	w.text.WriteString(s)
	if w.style.Spaced {
		w.text.WriteString(" \r\n\t")
	}
}

func (w *writer) value(value any) {
	switch value := value.(type) {
	case nil:
		w.token("null")
	case bool:
		w.token(fmt.Sprint(value))
	case json.Number:
		w.token(value.String())
	case string:
		w.token(w.quoted(value))
	case []any:
		w.token("[")
		for i, item := range value {
			if i > 0 {
				w.token(",")
			}
			w.value(item)
		}
		w.token("]")
	case Object:
		w.token("{")
		for i, member := range value {
			if i > 0 {
				w.token(",")
			}
			w.token(w.quoted(member.Name))
			w.token(":")
			w.value(member.Value)
		}
		w.token("}")
	default:
		panic(fmt.Sprintf("%T is not a JSON value", value))
	}
}

func (w *writer) quoted(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i, r := range s {
		switch {
		case w.style.Escaped && r > 0xffff:
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		case w.style.Escaped && (i == 0 || r > 0x7e), r < 0x20:
			fmt.Fprintf(&out, `\u%04x`, r)
		case r == '"', r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}
