package main

import (
	"errors"
	"fmt"
	"regexp"
)

// refused puts flaws into a document, one at a time, and returns an error when the document is accepted all the same.
func refused(text []byte) (int, error) {
	flaws := []struct{ what, place, flaw string }{
		{"a document without a title", `(?m)^  title: .*$`, "  x-title: none"},
		{"a number as the name of an operation", `(?m)^      operationId: .*$`, "      operationId: 5"},
		{"patterns that Go cannot read", `(?m)^( *)pattern: .*$`, "${1}pattern: '(?=a)'"},
		{"an example that does not fit its schema", `(?m)^( *)emailsSent: [0-9]+$`, "${1}emailsSent: many"},
	}
	var accepting []error
	for _, one := range flaws {
		place := regexp.MustCompile(one.place)
		if !place.Match(text) {
			return 0, fmt.Errorf("there is no place for %s", one.what)
		}
		if _, err := accepted(place.ReplaceAll(text, []byte(one.flaw))); err == nil {
			accepting = append(accepting, fmt.Errorf("%s is accepted", one.what))
		}
	}
	return len(flaws), errors.Join(accepting...)
}
