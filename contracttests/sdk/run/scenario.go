package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// scenario holds the steps that every language takes, in order.
type scenario struct {
	Steps []step `json:"steps"`
}

// step is one call of one operation and what a runner must find in the typed response. A step without an operation
// calls nothing: it is about what a webhook received, which the input holds.
type step struct {
	Name      string `json:"name"`
	Operation string `json:"operation,omitempty"`
	// Client is the caller: empty for the ordinary one, "exhausted" (an organization without an allowance) or
	// "future" (a server of a later version).
	Client string         `json:"client,omitempty"`
	Input  any            `json:"input,omitempty"`
	Expect map[string]any `json:"expect"`
}

// finding is a line that a runner prints: the step, and the contents of the typed response.
type finding struct {
	Step     string         `json:"step"`
	Observed map[string]any `json:"observed"`
}

// loadScenario reads the file and replaces its {{names}} by the values.
func loadScenario(path string, values map[string]string) (scenario, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return scenario{}, fmt.Errorf("read the scenario: %w", err)
	}
	pairs := make([]string, 0, 2*len(values))
	for name, value := range values {
		// All names stand inside JSON strings.
		quoted, err := json.Marshal(value)
		if err != nil {
			return scenario{}, fmt.Errorf("quote %s: %w", name, err)
		}
		pairs = append(pairs, "{{"+name+"}}", string(quoted[1:len(quoted)-1]))
	}
	decoder := json.NewDecoder(strings.NewReader(strings.NewReplacer(pairs...).Replace(string(text))))
	decoder.DisallowUnknownFields()
	var loaded scenario
	if err := decoder.Decode(&loaded); err != nil {
		return scenario{}, fmt.Errorf("read the scenario: %w", err)
	}
	return loaded, nil
}

func (s scenario) write(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the scenario: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write the scenario: %w", err)
	}
	return nil
}

// operations returns the operations that must have reached the server, in order.
func (s scenario) operations() []string {
	var operations []string
	for _, step := range s.Steps {
		if step.Operation != "" {
			operations = append(operations, step.Operation)
		}
	}
	return operations
}
