package spec

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// DeprecationMonths is the least time between a deprecation and the end of what is deprecated.
const DeprecationMonths = 6

// Deprecation says since when something is deprecated, and when it ends.
type Deprecation struct{ Since, Sunset time.Time }

// deprecations are what an operation's requests can use that is deprecated.
type deprecations struct {
	operation  []Deprecation
	parameters []deprecatedParameter
	// body is the schema of the body if something in it is deprecated, else nil.
	body *openapi3.Schema
}

type deprecatedParameter struct {
	Deprecation
	in, name string
}

// deprecationOf reads the extensions beside `deprecated`. Without `deprecated` it returns nil, and an error for a date.
func deprecationOf(deprecated bool, extensions map[string]any) (*Deprecation, error) {
	var found Deprecation
	for name, date := range map[string]*time.Time{"x-deprecated-since": &found.Since, "x-sunset": &found.Sunset} {
		if _, given := extensions[name]; given != deprecated {
			return nil, fmt.Errorf("deprecated is %t, and %s is given: %t", deprecated, name, given)
		}
		if !deprecated {
			continue
		}
		text, err := extension[string](extensions, name)
		if err != nil {
			return nil, err
		}
		if *date, err = time.Parse(time.DateOnly, text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if !deprecated {
		return nil, nil
	}
	if found.Sunset.Before(found.Since.AddDate(0, DeprecationMonths, 0)) {
		return nil, fmt.Errorf("x-sunset is less than %d months after x-deprecated-since", DeprecationMonths)
	}
	return &found, nil
}

// prepareDeprecations reads what is deprecated of an operation. What only answers have is in the spec and in no header.
func (op *Operation) prepareDeprecations() error {
	whole, err := deprecationOf(op.spec.Deprecated, op.spec.Extensions)
	if err != nil {
		return err
	}
	if whole != nil {
		op.deprecated.operation = []Deprecation{*whole}
	}
	for _, listed := range op.parameters {
		one, err := deprecationOf(listed.Value.Deprecated, listed.Value.Extensions)
		if err != nil {
			return fmt.Errorf("parameter %s: %w", listed.Value.Name, err)
		}
		if one != nil {
			op.deprecated.parameters = append(op.deprecated.parameters, deprecatedParameter{*one, listed.Value.In, listed.Value.Name})
		}
	}
	if op.spec.RequestBody == nil {
		return nil
	}
	for _, media := range op.spec.RequestBody.Value.Content {
		found, err := hasDeprecated(media.Schema)
		if err != nil {
			return err
		}
		if found {
			op.deprecated.body = media.Schema.Value
		}
	}
	return nil
}

// hasDeprecated reports whether a property in a schema is deprecated.
func hasDeprecated(ref *openapi3.SchemaRef) (bool, error) {
	if ref == nil {
		return false, nil
	}
	found, err := hasDeprecated(ref.Value.Items)
	for name, property := range ref.Value.Properties {
		one, failed := deprecationOf(property.Value.Deprecated, property.Value.Extensions)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("property %s: %w", name, failed))
		}
		inner, failed := hasDeprecated(property)
		err = errors.Join(err, failed)
		found = found || one != nil || inner
	}
	return found, err
}

// DeprecationsOf returns what a request uses that is deprecated, without what is in its body.
func (op *Operation) DeprecationsOf(request *http.Request) []Deprecation {
	found := op.deprecated.operation
	for _, one := range op.deprecated.parameters {
		given := one.in == "path" || one.in == "query" && request.URL.Query().Has(one.name) ||
			one.in == "header" && request.Header.Values(one.name) != nil
		if given {
			found = append(found[:len(found):len(found)], one.Deprecation)
		}
	}
	return found
}

// DeprecationsIn returns the deprecations of the properties that a decoded body has.
func (op *Operation) DeprecationsIn(body any) []Deprecation {
	if op.deprecated.body == nil {
		return nil
	}
	return deprecationsIn(nil, op.deprecated.body, body)
}

func deprecationsIn(found []Deprecation, schema *openapi3.Schema, value any) []Deprecation {
	switch value := value.(type) {
	case map[string]any:
		for name, property := range schema.Properties {
			inner, given := value[name]
			if !given {
				continue
			}
			if one, err := deprecationOf(property.Value.Deprecated, property.Value.Extensions); err == nil && one != nil {
				found = append(found, *one)
			}
			found = deprecationsIn(found, property.Value, inner)
		}
	case []any:
		for _, item := range value {
			if schema.Items != nil {
				found = deprecationsIn(found, schema.Items.Value, item)
			}
		}
	}
	return found
}
