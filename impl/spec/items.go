package spec

import (
	"errors"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/problem"
)

// itemRules validates the items of a list one by one. The list has `x-validate-items: each` in the spec.
type itemRules struct {
	// member is the name of the list in the body.
	member string
	// envelope is the body's schema with items of any type.
	envelope *openapi3.Schema
	item     *openapi3.Schema
}

// prepareItems looks for a list whose items are validated one by one. The envelope is a copy, so the schemas of
// the spec stay as they are.
func (rules *Body) prepareItems() error {
	for name, member := range rules.schema.Properties {
		how, err := extension[string](member.Value.Extensions, "x-validate-items")
		if err != nil {
			continue
		}
		if how != "each" {
			return fmt.Errorf("x-validate-items: %q is not known", how)
		}
		list := *member.Value
		list.Items = openapi3.NewSchemaRef("", &openapi3.Schema{Nullable: true})
		envelope := *rules.schema
		envelope.Properties = make(openapi3.Schemas, len(rules.schema.Properties))
		for other, schema := range rules.schema.Properties {
			envelope.Properties[other] = schema
		}
		envelope.Properties[name] = openapi3.NewSchemaRef("", &list)
		rules.each = &itemRules{member: name, envelope: &envelope, item: member.Value.Items.Value}
	}
	return nil
}

// validateItems validates the envelope, then every item by itself. It returns the problems of items by index and
// puts an empty object in the place of each such item in value.
func (rules *Body) validateItems(value any, raw []byte) (map[int]*problem.Problem, error) {
	if err := schemaProblem(rules.each.envelope.VisitJSON(value, rules.options...)); err != nil {
		return nil, err
	}
	// The envelope has been validated: the body is an object and the member a list.
	items, ok := value.(map[string]any)[rules.each.member].([]any)
	if !ok {
		return nil, fmt.Errorf("member %q is not a list", rules.each.member)
	}
	found := rules.each.oversized(raw)
	for i, item := range items {
		if found[i] == nil {
			err := schemaProblem(rules.each.item.VisitJSON(item, rules.options...))
			var wrong *problem.Problem
			if err != nil && !errors.As(err, &wrong) {
				return nil, err
			}
			if wrong != nil {
				found[i] = wrong
			}
		}
		if found[i] != nil {
			items[i] = map[string]any{}
		}
	}
	return found, nil
}

// oversized finds items over [mail.MaxMessageBytes]. Only a body larger than that can hold one.
func (rules *itemRules) oversized(raw []byte) map[int]*problem.Problem {
	found := make(map[int]*problem.Problem)
	if len(raw) <= mail.MaxMessageBytes {
		return found
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(raw, &members); err != nil {
		return found
	}
	var items []jsontext.Value
	if err := json.Unmarshal(members[rules.member], &items); err != nil {
		return found
	}
	for i, item := range items {
		if len(item) > mail.MaxMessageBytes {
			found[i] = &problem.Problem{
				Code:   api.ProblemCodePayloadTooLarge,
				Detail: fmt.Sprintf("An item is limited to %d bytes.", mail.MaxMessageBytes),
			}
		}
	}
	return found
}
