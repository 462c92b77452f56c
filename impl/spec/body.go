package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

const (
	// maxDepth is how deep a JSON document may nest.
	maxDepth = 32
	// maxValues is how many members and items a JSON document may hold in all. Each costs microseconds to validate
	// and some hundred bytes, however short it is: without a limit ten megabytes of them take seconds.
	maxValues = 200_000
)

// Body holds the rules of the spec for a request body.
type Body struct {
	schema *openapi3.Schema
	Limit  int64
	// isPatch reports that the body may also be declared as a merge patch.
	isPatch bool
	options []openapi3.SchemaValidationOption
	// each is set if the items of a list are validated one by one.
	each *itemRules
	// plain is set if bodies can be plain.
	plain *plainRules
}

func prepareBody(doc *openapi3.T, spec *openapi3.Operation) (*Body, error) {
	limit, err := extension[int64](spec.Extensions, "x-max-body-bytes")
	if err != nil {
		return nil, err
	}
	media := spec.RequestBody.Value.Content.Get("application/json")
	if media == nil || !spec.RequestBody.Value.Required {
		return nil, errors.New("a body must be required and JSON")
	}
	rules := &Body{
		schema:  media.Schema.Value,
		Limit:   limit,
		isPatch: spec.RequestBody.Value.Content[mergePatch] != nil,
		options: append(doc.GetSchemaValidationOptions(),
			openapi3.VisitAsRequest(), openapi3.MultiErrors(), openapi3.SetSchemaRegexCompiler(CompilePattern)),
	}
	rules.plain = preparePlain(rules.schema)
	return rules, rules.prepareItems()
}

// CheckHeader checks the media type and the length that the request declares for its body.
func (rules *Body) CheckHeader(r *http.Request) error {
	if err := rules.checkMediaType(r.Header); err != nil {
		return err
	}
	if r.ContentLength > rules.Limit {
		return tooLarge(rules.Limit)
	}
	return nil
}

// TooLarge returns the problem of a body beyond its limit.
func (rules *Body) TooLarge() *problem.Problem { return tooLarge(rules.Limit) }

func tooLarge(limit int64) *problem.Problem {
	return &problem.Problem{
		Code:   api.ProblemCodePayloadTooLarge,
		Detail: fmt.Sprintf("The body of this operation is limited to %d bytes.", limit),
	}
}

// mergePatch is the media type of RFC 7396. Leaving members out and null mean the same under both media types.
const mergePatch = "application/merge-patch+json"

// checkMediaType accepts only JSON, or a merge patch where the spec lists it, in UTF-8 without a content encoding.
func (rules *Body) checkMediaType(header http.Header) error {
	unsupported := rules.unsupportedMediaType()
	media, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/json" && (media != mergePatch || !rules.isPatch) {
		return unsupported
	}
	if charset, given := parameters["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return unsupported
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return unsupported
	}
	return nil
}

func (rules *Body) unsupportedMediaType() *problem.Problem {
	if rules.isPatch {
		return &problem.Problem{
			Code:        api.ProblemCodeUnsupportedMediaType,
			Detail:      `Send the body as "Content-Type: ` + mergePatch + `" or "application/json", without a content encoding.`,
			AcceptPatch: mergePatch + ", application/json",
		}
	}
	return &problem.Problem{
		Code:   api.ProblemCodeUnsupportedMediaType,
		Detail: `Send the body as "Content-Type: application/json", without a content encoding.`,
	}
}

// Decode reads one JSON document. The decoder refuses what the standard library accepts: duplicate members, data
// after the document, invalid UTF-8 and lone surrogates. Depth and size are measured on the text first, before
// anything is built from it.
func Decode(raw []byte) (any, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, malformed("The body is empty.")
	}
	switch depth, values := measureJSON(raw); {
	case depth > maxDepth:
		return nil, malformed(fmt.Sprintf("The body nests deeper than %d levels.", maxDepth))
	case values > maxValues:
		return nil, malformed(fmt.Sprintf("The body holds more than %d members and items.", maxValues))
	}
	var value any
	err := json.Unmarshal(raw, &value)
	if err == nil {
		return value, nil
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		found := malformed(explain(syntax))
		if syntax.JSONPointer != "" {
			found.Errors = []api.ProblemError{{Pointer: problem.Truncate(string(syntax.JSONPointer)), Detail: found.Detail}}
		}
		return nil, found
	}
	return nil, malformed("The body holds a number that is out of range.")
}

func malformed(detail string) *problem.Problem {
	return &problem.Problem{Code: api.ProblemCodeMalformedJSON, Detail: detail}
}

// explain returns what is wrong with the text and where, without repeating what the client sent.
func explain(err *jsontext.SyntacticError) string {
	what, cause := "is not valid JSON", ""
	if err.Err != nil {
		cause = err.Err.Error()
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		what = "holds a member twice"
	case errors.Is(err, io.ErrUnexpectedEOF):
		what = "ended before the JSON document was complete"
	case strings.Contains(cause, "UTF-8"):
		what = "is not valid UTF-8"
	case strings.Contains(cause, "surrogate"):
		what = "holds a lone surrogate"
	case strings.Contains(cause, "after top-level value"):
		what = "holds data after the JSON document"
	}
	return fmt.Sprintf("The body %s (byte %d).", what, err.ByteOffset)
}

// measureJSON counts brackets and commas outside strings, and stops when there are too many. The decoder checks
// everything else.
func measureJSON(raw []byte) (depth, values int) {
	quoted := false
	for i := 0; i < len(raw) && depth <= maxDepth && values <= maxValues; i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			values++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			values++
		}
	}
	return depth, values
}

// Accept decodes and validates a body at once, if it is plainly within the rules: [Decode] and [Body.Validate] would return
// the same value and no problem. It returns false for any other.
func (rules *Body) Accept(raw []byte) (value any, ok bool) {
	if rules.plain == nil {
		return nil, false
	}
	return rules.plain.accept(raw)
}

// Validate validates a decoded body. If the spec has the items of a list validated one by one, it returns the
// problems of items by index and puts an empty object in the place of each such item in value.
func (rules *Body) Validate(value any, raw []byte) (items map[int]*problem.Problem, err error) {
	if rules.each != nil {
		return rules.validateItems(value, raw)
	}
	return nil, schemaProblem(rules.schema.VisitJSON(value, rules.options...))
}

// HasItems reports whether bodies hold a list whose items are judged one by one.
func (rules *Body) HasItems() bool { return rules.each != nil }

// Items returns how many items a decoded body holds in the list whose items are judged one by one; 1 where there is none.
func (rules *Body) Items(value any) int {
	if rules.each == nil {
		return 1
	}
	members, _ := value.(map[string]any)
	items, _ := members[rules.each.member].([]any)
	return len(items)
}
