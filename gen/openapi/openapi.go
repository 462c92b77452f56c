// Package openapi holds the published documents, which `make gen` writes from openapi.yaml.
package openapi

import _ "embed" // for the documents

//go:embed openapi.yaml
var yaml []byte

//go:embed openapi.json
var json []byte

//go:embed openapi-3.1.yaml
var newerYAML []byte

//go:embed openapi-3.1.json
var newerJSON []byte

// YAML returns the published document as YAML.
func YAML() []byte { return yaml }

// JSON returns the published document as JSON.
func JSON() []byte { return json }

// NewerYAML returns the same in OpenAPI 3.1, as YAML.
func NewerYAML() []byte { return newerYAML }

// NewerJSON returns the same in OpenAPI 3.1, as JSON.
func NewerJSON() []byte { return newerJSON }
