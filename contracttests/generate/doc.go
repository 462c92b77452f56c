// Package generate makes values for the schemas of an OpenAPI spec, valid ones and slightly wrong ones, and knows which
// is which. It contains no validation of requests: the way a value is made decides whether it is right or wrong.
//
//   - value.go: values as they stand in a text, and how they are written
//   - valid.go: [Maker.Valid], values that a schema allows; text.go: strings
//   - change.go: [Maker.Near], values with a change or two; change_text.go: the changes of strings and numbers
//   - damage.go: [Damaged], texts that are not JSON
package generate
