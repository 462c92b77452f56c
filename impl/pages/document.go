package pages

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/yuin/goldmark"

	"github.com/voostack/mailstack/gen/openapi"
)

// document is the published document. It knows in which order its members are written, which is the order for readers.
type document struct{ *openapi3.T }

// publishedDomain is the domain from which the examples of the published document send.
const publishedDomain = "@yourdomain.com"

// loadDocument reads the published document. Its examples send from exampleDomain, if there is one, so that they can be sent.
func loadDocument(exampleDomain string) (*document, error) {
	loader := openapi3.NewLoader()
	loader.IncludeOrigin = true
	source := openapi.YAML()
	if exampleDomain != "" {
		source = bytes.ReplaceAll(source, []byte(publishedDomain), []byte("@"+exampleDomain))
	}
	doc, err := loader.LoadFromData(source)
	if err != nil {
		return nil, fmt.Errorf("read the published document: %w", err)
	}
	return &document{doc}, nil
}

// line returns where something is written.
func line(origin *openapi3.Origin) int {
	if origin == nil || origin.Key == nil {
		return 0
	}
	return origin.Key.Line
}

// propertiesOf returns the names of a schema's properties in the order of the document.
func propertiesOf(schema *openapi3.Schema) []string {
	place := func(name string) int {
		property := schema.Properties[name]
		if property.Ref == "" && property.Value != nil {
			return line(property.Value.Origin)
		}
		return line(property.Origin)
	}
	return slices.SortedFunc(maps.Keys(schema.Properties), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	})
}

// prose returns a text in CommonMark as HTML. The text is ours, and HTML in it is left out.
func prose(text string) (template.HTML, error) {
	var shown bytes.Buffer
	if err := goldmark.Convert([]byte(text), &shown); err != nil {
		return "", fmt.Errorf("read a description: %w", err)
	}
	return template.HTML(shown.String()), nil
}

// encode returns an example as JSON, with members in the order of its schema.
func encode(value any, ref *openapi3.SchemaRef) (string, error) {
	ordered, err := inOrder(value, ref)
	if err != nil {
		return "", err
	}
	var shown bytes.Buffer
	if err := json.Indent(&shown, ordered, "", "  "); err != nil {
		return "", fmt.Errorf("write an example: %w", err)
	}
	return shown.String(), nil
}

func inOrder(value any, ref *openapi3.SchemaRef) ([]byte, error) {
	var schema openapi3.Schema
	if ref != nil && ref.Value != nil {
		schema = *ref.Value
	}
	switch value := value.(type) {
	case map[string]any:
		for _, variant := range schema.OneOf {
			if variant.Value.VisitJSON(value) == nil {
				schema = *variant.Value
				break
			}
		}
		names := slices.DeleteFunc(propertiesOf(&schema), func(name string) bool { _, given := value[name]; return !given })
		for _, name := range slices.Sorted(maps.Keys(value)) {
			if schema.Properties[name] == nil {
				names = append(names, name)
			}
		}
		var written bytes.Buffer
		for i, name := range names {
			inner, err := inOrder(value[name], schema.Properties[name])
			if err != nil {
				return nil, err
			}
			written.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
			written.WriteString(quoted(name) + ":")
			written.Write(inner)
		}
		if len(names) == 0 {
			written.WriteByte('{')
		}
		written.WriteByte('}')
		return written.Bytes(), nil
	case []any:
		items := make([]json.RawMessage, 0, len(value))
		for _, item := range value {
			inner, err := inOrder(item, schema.Items)
			if err != nil {
				return nil, err
			}
			items = append(items, inner)
		}
		return plainJSON(items)
	default:
		return plainJSON(value)
	}
}

// plainJSON writes JSON without escaping what only HTML would need escaped.
func plainJSON(value any) ([]byte, error) {
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("write an example: %w", err)
	}
	return bytes.TrimSpace(written.Bytes()), nil
}

func quoted(name string) string {
	written, _ := json.Marshal(name) // a string can always be written
	return string(written)
}

// examplePayload returns the example for the callback of createWebhook.
func (d *document) examplePayload() (string, error) {
	for _, item := range d.Paths.Map() {
		if item.Post == nil || item.Post.OperationID != "createWebhook" {
			continue
		}
		for _, callback := range item.Post.Callbacks {
			for _, target := range callback.Value.Map() {
				media := target.Post.RequestBody.Value.Content.Get("application/json")
				for _, example := range media.Examples {
					return encode(example.Value.Value, media.Schema)
				}
			}
		}
	}
	return "", errors.New("the document has no example of an event")
}
