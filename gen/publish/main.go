// Command publish writes the documents that clients get into gen/openapi, from openapi.yaml.
//
// openapi.yaml and openapi.json are openapi.yaml without the extensions that only this server and its generator read, and
// with a sample of each operation in several languages and its scopes in words. All other text is kept as it is, so that the
// published document reads like its source. openapi-3.1.yaml and openapi-3.1.json say the same in OpenAPI 3.1.
//
//   - main.go: the files, and what is left out
//   - scopes.go: the scopes in words
//   - dialect.go: from OpenAPI 3.0 to 3.1; schema.go: its schemas; nodes.go: members of YAML maps
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/gen/samples"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: publish openapi.yaml folder")
	}
	if err := publish(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func publish(source, folder string) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	bare := withoutHints(text)
	if err := compare(text, bare); err != nil {
		return err
	}
	told, err := withScopes(bare)
	if err != nil {
		return err
	}
	asYAML, err := samples.Add(told)
	if err != nil {
		return fmt.Errorf("add the samples: %w", err)
	}
	asJSON, err := toJSON(asYAML)
	if err != nil {
		return err
	}
	newerYAML, newerJSON, err := newer(asYAML)
	if err != nil {
		return err
	}
	for name, document := range map[string][]byte{
		"openapi.yaml": asYAML, "openapi.json": asJSON, "openapi-3.1.yaml": newerYAML, "openapi-3.1.json": newerJSON,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), document, 0o600); err != nil {
			return fmt.Errorf("write the published document: %w", err)
		}
	}
	return nil
}

// isHint matches the names of the extensions that are not published.
func isHint(name string) bool {
	switch name {
	case "x-text", "x-validate-items", "x-secret-answer", "x-deprecated-since", "x-sunset":
		return true
	}
	return strings.HasPrefix(name, "x-go-")
}

// withoutHints removes the lines of extensions that are not published, with what is nested below them.
func withoutHints(text []byte) []byte {
	member := regexp.MustCompile(`^( *)(x-[a-z-]+):`)
	var kept bytes.Buffer
	removed := -1 // the indentation of the extension that is being removed
	for line := range strings.Lines(string(text)) {
		indentation := len(line) - len(strings.TrimLeft(line, " "))
		if removed >= 0 && indentation > removed {
			continue
		}
		removed = -1
		if found := member.FindStringSubmatch(line); found != nil && isHint(found[2]) {
			removed = indentation
			continue
		}
		kept.WriteString(line)
	}
	return kept.Bytes()
}

func toJSON(document []byte) ([]byte, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	encoded, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write the document as JSON: %w", err)
	}
	return append(encoded, '\n'), nil
}

// compare fails unless the bare document is its source without the hints, member by member: lines are removed
// from text, and a line of prose that looks like an extension would go with them.
func compare(source, bare []byte) error {
	whole, sourceErr := toJSON(source)
	part, bareErr := toJSON(bare)
	if err := errors.Join(sourceErr, bareErr); err != nil {
		return err
	}
	var want, got any
	if err := errors.Join(json.Unmarshal(whole, &want), json.Unmarshal(part, &got)); err != nil {
		return fmt.Errorf("compare the documents: %w", err)
	}
	removeHints(want)
	if !reflect.DeepEqual(want, got) {
		return errors.New("the document is not the spec without its hints")
	}
	return nil
}

func removeHints(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if isHint(name) {
				delete(value, name)
				continue
			}
			removeHints(inner)
		}
	case []any:
		for _, inner := range value {
			removeHints(inner)
		}
	}
}
