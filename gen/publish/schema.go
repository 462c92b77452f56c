package main

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// convertSchema changes a Schema Object of OpenAPI 3.0, whose parts are changed already, into JSON Schema 2020-12.
func convertSchema(schema *yaml.Node) {
	if reference := get(schema, "$ref"); reference != nil {
		// OpenAPI 3.0 ignores what stands beside a reference; OpenAPI 3.1 does not.
		schema.Content = newMap("$ref", reference).Content
		return
	}
	convertNull(schema)
	convertBound(schema, "minimum", "exclusiveMinimum")
	convertBound(schema, "maximum", "exclusiveMaximum")
	convertBinary(schema)
	if values := get(schema, "enum"); values != nil && len(values.Content) == 1 {
		rename(schema, "enum", "const", values.Content[0])
	}
	if example := get(schema, "example"); example != nil {
		rename(schema, "example", "examples", newList(example))
	}
}

// convertNull makes null a type, or an alternative where null would not pass what stands beside the type.
func convertNull(schema *yaml.Node) {
	if nullable := take(schema, "nullable"); nullable == nil || nullable.Value != "true" {
		return
	}
	null := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	isNull := func(value *yaml.Node) bool { return value.Tag == null.Tag }
	if values := get(schema, "enum"); values != nil && !slices.ContainsFunc(values.Content, isNull) {
		values.Content = append(values.Content, null)
	}
	combined := func(name string) bool { return get(schema, name) != nil }
	if slices.ContainsFunc([]string{"allOf", "anyOf", "oneOf", "not"}, combined) {
		makeAlternative(schema, newMap("type", text("null")))
		return
	}
	if kind := get(schema, "type"); kind != nil {
		list := newList(kind, text("null"))
		list.Style = yaml.FlowStyle
		rename(schema, "type", "type", list)
	}
}

// makeAlternative makes what a schema demands one of two alternatives. What describes it stays outside.
func makeAlternative(schema, other *yaml.Node) {
	describes := []string{"title", "description", "default", "example", "deprecated", "readOnly", "writeOnly", "externalDocs"}
	demands, outside := newMap(), newMap()
	for i := 0; i < len(schema.Content); i += 2 {
		name, to := schema.Content[i].Value, demands
		if slices.Contains(describes, name) || strings.HasPrefix(name, "x-") {
			to = outside
		}
		to.Content = append(to.Content, schema.Content[i:i+2]...)
	}
	set(outside, "anyOf", newList(demands, other))
	schema.Content = outside.Content
}

// convertBound makes a bound exclusive that a boolean beside it excludes.
func convertBound(schema *yaml.Node, inclusive, exclusive string) {
	excludes := take(schema, exclusive)
	if bound := get(schema, inclusive); bound != nil && excludes != nil && excludes.Value == "true" {
		rename(schema, inclusive, exclusive, bound)
	}
}

// convertBinary says in the words of JSON Schema that a string holds bytes.
func convertBinary(schema *yaml.Node) {
	format := get(schema, "format")
	switch {
	case format == nil:
	case format.Value == "byte":
		rename(schema, "format", "contentEncoding", text("base64"))
	case format.Value == "binary":
		rename(schema, "format", "contentMediaType", text("application/octet-stream"))
	}
}
