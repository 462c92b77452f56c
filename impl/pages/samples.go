package pages

import (
	"encoding/json"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// sample is a program that makes a request.
type sample struct {
	Language string `json:"label"`
	Code     string `json:"source"`
}

// samplesOf returns the samples that `make gen` wrote into the published document.
func samplesOf(op *openapi3.Operation) ([]sample, error) {
	encoded, err := json.Marshal(op.Extensions["x-codeSamples"])
	if err != nil {
		return nil, fmt.Errorf("read the samples: %w", err)
	}
	var found []sample
	if err := json.Unmarshal(encoded, &found); err != nil {
		return nil, fmt.Errorf("read the samples: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no samples", op.OperationID)
	}
	return found, nil
}
