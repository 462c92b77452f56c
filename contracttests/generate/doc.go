// Package generate makes values for schemas of an OpenAPI document, valid ones and ones that are slightly wrong, and
// knows which is which. It knows nothing of how requests are validated: a value is right or wrong by how it was made.
//
//   - value.go: values as they stand in a text, and how they are written
//   - valid.go: [Maker.Valid], values that a schema allows; text.go: strings
//   - change.go: [Maker.Near], values with a change or two; change_text.go: the changes of strings and numbers
//   - damage.go: [Damaged], texts that are no JSON document
package generate
