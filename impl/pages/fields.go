package pages

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// maxDepth bounds how deep the reference shows objects within objects.
const maxDepth = 6

// field is a parameter, a member of a body, or a field of an answer.
type field struct {
	Name, Type string
	Required   bool
	Deprecated bool
	About      template.HTML
	// Limits are what a value must keep to, Values those that are possible.
	Limits, Values []string
	// Example is what a form starts with, or shows as a hint.
	Example string
	Members []field
}

// members returns the fields of an object, or of the objects in a list.
func members(ref *openapi3.SchemaRef, depth int) ([]field, error) {
	if ref == nil || ref.Value == nil || depth > maxDepth {
		return nil, nil
	}
	schema := ref.Value
	if schema.Items != nil {
		return members(schema.Items, depth)
	}
	var found []field
	for _, name := range propertiesOf(schema) {
		made, err := newField(name, schema.Properties[name], slices.Contains(schema.Required, name), depth)
		if err != nil {
			return nil, err
		}
		found = append(found, made)
	}
	for _, variant := range slices.Concat(schema.AllOf, schema.OneOf, schema.AnyOf) {
		more, err := members(variant, depth)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func newField(name string, ref *openapi3.SchemaRef, required bool, depth int) (field, error) {
	about, err := prose(ref.Value.Description)
	if err != nil {
		return field{}, err
	}
	inner, err := members(ref, depth+1)
	if err != nil {
		return field{}, err
	}
	made := field{Name: name, Type: typeOf(ref.Value), Required: required, Deprecated: ref.Value.Deprecated, About: about, Limits: limits(ref.Value), Members: inner}
	valued := ref.Value
	if valued.Items != nil {
		valued = valued.Items.Value
	}
	for _, value := range valued.Enum {
		if value != nil {
			made.Values = append(made.Values, fmt.Sprint(value))
		}
	}
	if ref.Value.Example != nil {
		made.Example = fmt.Sprint(ref.Value.Example)
	}
	return made, nil
}

// typeOf names the type of a value.
func typeOf(schema *openapi3.Schema) string {
	var name string
	switch {
	case schema.Items != nil:
		name = "list of " + typeOf(schema.Items.Value)
	case len(schema.OneOf)+len(schema.AnyOf) > 0:
		var variants []string
		for _, variant := range slices.Concat(schema.OneOf, schema.AnyOf) {
			variants = append(variants, typeOf(variant.Value))
		}
		name = strings.Join(slices.Compact(variants), " or ")
	case schema.Type == nil:
		name = "any"
	default:
		name = strings.Join(schema.Type.Slice(), " or ")
	}
	if schema.Format != "" {
		name += " (" + schema.Format + ")"
	}
	if schema.Nullable {
		name += " or null"
	}
	return name
}

// limits returns in words what a value must keep to.
func limits(schema *openapi3.Schema) []string {
	var found []string
	between := func(least, most, of string) {
		switch {
		case least != "" && most != "":
			found = append(found, strings.TrimSpace(least+" to "+most+" "+of))
		case least != "":
			found = append(found, strings.TrimSpace("at least "+least+" "+of))
		case most != "":
			found = append(found, strings.TrimSpace("at most "+most+" "+of))
		}
	}
	between(positive(schema.MinLength), given(schema.MaxLength), "characters")
	between(positive(schema.MinItems), given(schema.MaxItems), "items")
	between("", given(schema.MaxProps), "members")
	between(number(schema.Min), number(schema.Max), "")
	if schema.UniqueItems {
		found = append(found, "none twice")
	}
	if schema.Pattern != "" {
		found = append(found, "pattern "+schema.Pattern)
	}
	if schema.Default != nil {
		found = append(found, fmt.Sprint("default ", schema.Default))
	}
	return found
}

func positive(least uint64) string {
	if least == 0 {
		return ""
	}
	return strconv.FormatUint(least, 10)
}

func given(most *uint64) string {
	if most == nil {
		return ""
	}
	return strconv.FormatUint(*most, 10)
}

func number(bound *float64) string {
	if bound == nil {
		return ""
	}
	return strconv.FormatFloat(*bound, 'f', -1, 64)
}
