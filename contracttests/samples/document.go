package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// operation is an operation of the document.
type operation struct {
	id, method, path string
	// examples are the examples of the path's parameters, by name.
	examples map[string]string
	// bodies are the examples of the body. Statuses are the successes that the document lists.
	bodies   []any
	statuses []int
	// samples are the programs, by language.
	samples map[string]string
}

// asked returns the path that samples ask for.
func (op *operation) asked() string {
	path := op.path
	for name, example := range op.examples {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(example))
	}
	return path
}

// published is as much of the document as this program reads.
type published struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Parameters map[string]parameter `json:"parameters"`
		Examples   map[string]example   `json:"examples"`
	} `json:"components"`
}

type parameter struct {
	Ref     string `json:"$ref"`
	Name    string `json:"name"`
	Example any    `json:"example"`
}

type example struct {
	Ref   string `json:"$ref"`
	Value any    `json:"value"`
}

type described struct {
	OperationID string                     `json:"operationId"`
	Responses   map[string]json.RawMessage `json:"responses"`
	RequestBody struct {
		Content map[string]struct {
			Examples map[string]example `json:"examples"`
		} `json:"content"`
	} `json:"requestBody"`
	Samples []struct {
		Label  string `json:"label"`
		Source string `json:"source"`
	} `json:"x-codeSamples"`
}

// readOperations returns the operations of the document, sorted by their ids.
func readOperations(file string) ([]*operation, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	var doc published
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	var found []*operation
	for path, item := range doc.Paths {
		var shared []parameter
		if given, some := item["parameters"]; some {
			if err := json.Unmarshal(given, &shared); err != nil {
				return nil, fmt.Errorf("read the parameters of %s: %w", path, err)
			}
		}
		for method, given := range item {
			if method == "parameters" {
				continue
			}
			var one described
			if err := json.Unmarshal(given, &one); err != nil {
				return nil, fmt.Errorf("read %s %s: %w", method, path, err)
			}
			op := doc.operation(one, shared)
			op.method, op.path = strings.ToUpper(method), path
			found = append(found, op)
		}
	}
	slices.SortFunc(found, func(a, b *operation) int { return strings.Compare(a.id, b.id) })
	return found, nil
}

func (doc *published) operation(one described, shared []parameter) *operation {
	op := &operation{id: one.OperationID, examples: map[string]string{}, samples: map[string]string{}}
	for _, listed := range shared {
		if name, isReference := strings.CutPrefix(listed.Ref, "#/components/parameters/"); isReference {
			listed = doc.Components.Parameters[name]
		}
		op.examples[listed.Name] = fmt.Sprint(listed.Example)
	}
	for _, shown := range one.RequestBody.Content["application/json"].Examples {
		if name, isReference := strings.CutPrefix(shown.Ref, "#/components/examples/"); isReference {
			shown = doc.Components.Examples[name]
		}
		op.bodies = append(op.bodies, shown.Value)
	}
	for status := range one.Responses {
		if number, err := strconv.Atoi(status); err == nil && number/100 == 2 {
			op.statuses = append(op.statuses, number)
		}
	}
	for _, sample := range one.Samples {
		op.samples[sample.Label] = sample.Source
	}
	return op
}
