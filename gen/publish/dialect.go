package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

const (
	newerVersion = "3.1.1"
	// newerSchemas is JSON Schema 2020-12 with the few words that OpenAPI adds, such as discriminator.
	newerSchemas = "https://spec.openapis.org/oas/3.1/dialect/base"
)

// newer returns an OpenAPI 3.0 document as OpenAPI 3.1, in YAML and in JSON. The order of members, the comments and the
// style of every value stay as they are.
func newer(document []byte) (asYAML, asJSON []byte, err error) {
	var parsed yaml.Node
	if err := yaml.Unmarshal(document, &parsed); err != nil {
		return nil, nil, fmt.Errorf("read the document: %w", err)
	}
	root := parsed.Content[0]
	c := converter{parts: parts(), webhooks: newMap()}
	if err := c.convert(root, "document"); err != nil {
		return nil, nil, err
	}
	convertRoot(root, c.webhooks)
	if asYAML, err = yaml.Dump(&parsed, yaml.WithV3Defaults(), yaml.WithIndent(2), yaml.WithLineWidth(-1)); err != nil {
		return nil, nil, fmt.Errorf("write OpenAPI %s: %w", newerVersion, err)
	}
	asJSON, err = plainJSON(asYAML)
	return asYAML, asJSON, err
}

func plainJSON(document []byte) ([]byte, error) {
	var value any
	if err := yaml.Unmarshal(document, &value); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("write the document as JSON: %w", err)
	}
	return written.Bytes(), nil
}

// parts tells for each kind of object which of its members are, or hold, objects of which kind. A star stands for the
// items of a list or the members of a map.
func parts() map[string]map[string]string {
	media := map[string]string{"content": "media*", "headers": "parameter*"}
	return map[string]map[string]string{
		"document": {"paths": "path*", "components": "components"},
		"components": {
			"schemas": "schema*", "parameters": "parameter*", "headers": "parameter*", "requestBodies": "body*", "responses": "body*",
			"callbacks": "path**",
		},
		"path": {
			"parameters": "parameter*", "get": "operation", "put": "operation", "post": "operation", "delete": "operation",
			"options": "operation", "head": "operation", "patch": "operation", "trace": "operation",
		},
		"operation": {"parameters": "parameter*", "requestBody": "body", "responses": "body*", "callbacks": "path**"},
		"parameter": {"schema": "schema", "content": "media*"},
		"body":      media, // requests, responses, and the encodings of their parts
		"media":     {"schema": "schema", "encoding": "body*"},
		"schema": {
			"properties": "schema*", "additionalProperties": "schema", "items": "schema", "not": "schema",
			"allOf": "schema*", "anyOf": "schema*", "oneOf": "schema*",
		},
	}
}

// converter walks through a document and collects its webhooks.
type converter struct {
	parts    map[string]map[string]string
	webhooks *yaml.Node
}

func (c converter) convert(node *yaml.Node, kind string) error {
	all, many := strings.CutSuffix(kind, "*")
	if many && node.Kind == yaml.SequenceNode {
		for _, item := range node.Content {
			if err := c.convert(item, all); err != nil {
				return err
			}
		}
	}
	if node.Kind != yaml.MappingNode {
		return nil // additionalProperties may be a boolean
	}
	for i := 0; i < len(node.Content); i += 2 {
		inner := all
		if !many {
			inner = c.parts[kind][node.Content[i].Value]
		}
		if inner == "" {
			continue
		}
		if err := c.convert(node.Content[i+1], inner); err != nil {
			return err
		}
	}
	switch kind {
	case "schema":
		convertSchema(node)
	case "operation":
		return c.moveCallbacks(node)
	}
	return nil
}

// moveCallbacks makes the callbacks of an operation webhooks of the document: what is registered by one request and
// posted ever after is a webhook.
func (c converter) moveCallbacks(operation *yaml.Node) error {
	callbacks := take(operation, "callbacks")
	if callbacks == nil {
		return nil
	}
	for i := 0; i < len(callbacks.Content); i += 2 {
		name, targets := callbacks.Content[i].Value, callbacks.Content[i+1]
		if len(targets.Content) != 2 || targets.Content[1].Kind != yaml.MappingNode || get(c.webhooks, name) != nil {
			return fmt.Errorf("the callback %q has no single target, or there are two of that name", name)
		}
		set(c.webhooks, name, targets.Content[1])
	}
	return nil
}

// spdx matches what can be the name of a licence in the list of SPDX.
var spdx = regexp.MustCompile(`^[A-Za-z0-9.+-]+$`)

func convertRoot(root, webhooks *yaml.Node) {
	get(root, "openapi").Value = newerVersion
	insert(root, "openapi", "jsonSchemaDialect", text(newerSchemas))
	if len(webhooks.Content) > 0 {
		insert(root, "paths", "webhooks", webhooks)
	}
	// A licence has an identifier or an address, not both.
	if licence := get(get(root, "info"), "license"); licence != nil && spdx.MatchString(get(licence, "name").Value) {
		take(licence, "url")
		set(licence, "identifier", text(get(licence, "name").Value))
	}
}
