// Package template fills the placeholders of a message, inline bodies and
// stored templates alike, without any I/O:
//
//   - template.go: parsing ([Parse]) and rendering
//     ([Template.Render], [Template.Preview])
//   - syntax.go: which tags a source may hold
//   - walk.go: which variables are reached, and what that costs; budget.go: how much a request may cost
//   - value.go: which values variables may have ([CheckVariables])
//   - errors.go: the errors
//
// The language is Mustache: {{name}}, {{user.name}}, {{#section}}…{{/section}},
// {{^inverted}}…{{/inverted}}, {{.}} inside a list and {{! comments }}. In an
// html part every value is escaped, and the unescaped tags {{{name}}} and
// {{&name}} are refused; in text and subject values are verbatim. Partials,
// lambdas and changed delimiters do not exist.
//
// A variable that is reached must have a value; null is no value. A section is
// left out if its value is missing, null, false, zero, a blank string or an
// empty list. The variables inside it are then not reached.
package template
