// Package openapi holds the published documents, which `make gen` writes from openapi.yaml.
package openapi

import _ "embed" // for the documents

//go:embed openapi.yaml
var yaml []byte

//go:embed openapi.json
var json []byte

// YAML returns the published document as YAML.
func YAML() []byte { return yaml }

// JSON returns the published document as JSON.
func JSON() []byte { return json }
