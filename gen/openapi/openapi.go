// Package openapi holds the published documents, which `make gen` writes from openapi.yaml.
package openapi

import _ "embed" // for the documents

var (
	//go:embed openapi.yaml
	yaml []byte
	//go:embed openapi.json
	json []byte
	//go:embed openapi-3.1.yaml
	newerYAML []byte
	//go:embed openapi-3.1.json
	newerJSON []byte
)

// YAML returns the published document as YAML.
func YAML() []byte { return yaml }

// JSON returns the published document as JSON.
func JSON() []byte { return json }

// NewerYAML returns the same in OpenAPI 3.1, as YAML.
func NewerYAML() []byte { return newerYAML }

// NewerJSON returns the same in OpenAPI 3.1, as JSON.
func NewerJSON() []byte { return newerJSON }
