// Package api holds the types, the server interface and the client of the operations, generated from openapi.yaml
// (api.gen.go), and the one type of theirs that is written by hand (time.go).
package api

import (
	"encoding/json"
	"fmt"
	"time"
)

// Time is a time of a response. It is written in UTC with milliseconds, always: clients that read times by a pattern or
// compare them as text meet one form.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the time in the form of all responses.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON reads any time of RFC 3339.
func (t *Time) UnmarshalJSON(encoded []byte) error {
	if err := json.Unmarshal(encoded, &t.Time); err != nil {
		return fmt.Errorf("read a time: %w", err)
	}
	return nil
}
