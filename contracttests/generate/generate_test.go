package generate_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	strict "github.com/go-json-experiment/json"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/contracttests/generate"
)

const document = `
openapi: 3.0.3
info: {title: Things, version: "1"}
paths: {}
components:
  schemas:
    Thing:
      type: object
      additionalProperties: false
      required: [name, kinds]
      properties:
        name: {type: string, minLength: 2, maxLength: 40, pattern: '^[^\x00-\x1f\u2028]*$'}
        code: {type: string, nullable: true, pattern: '^[a-f]{2,5}$'}
        even: {type: string, format: even, maxLength: 9}
        kinds: {type: array, minItems: 1, maxItems: 3, uniqueItems: true, items: {type: string, enum: [a, b, c]}}
        parts:
          type: array
          nullable: true
          maxItems: 2
          items: {type: object, additionalProperties: false, properties: {size: {type: integer, minimum: -2, maximum: 7}}}
        weight: {type: number, minimum: 0.5}
        good: {type: boolean}
        rest: {type: object, additionalProperties: true, maxProperties: 4}
`

func thing(t *testing.T) *openapi3.Schema {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas["Thing"].Value
}

func maker() generate.Maker {
	even := rapid.Custom(func(t *rapid.T) string { return strings.Repeat("ab", rapid.IntRange(0, 4).Draw(t, "n")) })
	odd := rapid.Map(even, func(s string) string { return s + "a" })
	return generate.Maker{
		Formats: map[string]generate.Format{"even": {Right: even, Wrong: odd}},
		Phrases: []string{"{{name}}"}, Longest: 100,
	}
}

// judge returns the library's verdict on a text.
func judge(schema *openapi3.Schema, text string) error {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		return err
	}
	even := openapi3.NewCallbackValidator(func(s string) error {
		if len(s)%2 == 1 {
			return errors.New("is odd")
		}
		return nil
	})
	return schema.VisitJSON(value, openapi3.WithStringFormatValidator("even", even))
}

func styles(t *rapid.T) generate.Style {
	return generate.Style{Escaped: rapid.Bool().Draw(t, "escaped"), Spaced: rapid.Bool().Draw(t, "spaced")}
}

func TestValidIsValid(t *testing.T) {
	t.Parallel()
	schema := thing(t)
	rapid.Check(t, func(t *rapid.T) {
		text := generate.Write(maker().Valid(schema).Draw(t, "value"), styles(t))
		if err := judge(schema, text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}

func TestNearIsWhatItSays(t *testing.T) {
	t.Parallel()
	schema := thing(t)
	rapid.Check(t, func(t *rapid.T) {
		made := maker().Near(schema).Draw(t, "value")
		text := generate.Write(made.Value, styles(t))
		err := judge(schema, text)
		switch made.Verdict {
		case generate.Right:
			if err != nil {
				t.Fatalf("%s %q: %v", text, made.Changes, err)
			}
		case generate.Wrong:
			if err == nil {
				t.Fatalf("%s %q is valid", text, made.Changes)
			}
		case generate.Malformed:
			var value any
			deep := strings.Contains(text, strings.Repeat("[", 33)) || strings.Count(text, "[") > 32
			if !deep && strict.Unmarshal([]byte(text), &value) == nil {
				t.Fatalf("%s %q is well-formed", text, made.Changes)
			}
		}
	})
}

func TestDamagedIsDamaged(t *testing.T) {
	t.Parallel()
	schema := thing(t)
	rapid.Check(t, func(t *rapid.T) {
		whole := generate.Write(maker().Valid(schema).Draw(t, "value"), styles(t))
		damage := generate.Damaged(whole).Draw(t, "damage")
		var value any
		if strict.Unmarshal([]byte(damage.Text), &value) == nil {
			t.Fatalf("%q, %s, is well-formed", damage.Text, damage.What)
		}
	})
}

// Every kind of change is made, at every place where it is possible.
func TestChangesAreMade(t *testing.T) {
	t.Parallel()
	schema := thing(t)
	near := maker().Near(schema)
	made := map[string]bool{}
	for seed := range 6000 {
		for _, change := range near.Example(seed).Changes {
			made[change] = true
		}
	}
	for _, want := range []string{
		" null", " of type array", "+ an unknown member", "name left out", "name null", "name given twice", "name called Name",
		"name called NAME", "name 1 characters", "name 2 characters", "name 40 characters", "name 41 characters",
		"name a character that is refused", "name unusual characters", "name of type number", "name nested too deep",
		"code null", "even not a even", "even 10 characters", "kinds 0 items", "kinds 3 items", "kinds 4 items",
		"kinds an item twice", "kinds 0 not in the enum", "kinds 0 of type object", "parts null", "parts 3 items",
		"parts 0 size 8", "parts 0 size -3", "parts 0 size -2.5", "parts 0 size of type string", "parts 0 + an unknown member",
		"weight -0.5", "weight 1e999", "good of type string", "rest 5 members", "rest 4 members", "rest of type array",
	} {
		if !made[want] {
			t.Errorf("never made: %q", want)
		}
	}
}
