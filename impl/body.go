package impl

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
)

const (
	// maxDepth is how deep a document may nest.
	maxDepth = 32
	// maxValues is how many members and items a document may hold in all. Each costs microseconds to judge and some
	// hundred bytes, however short it is: without a limit ten megabytes of them take seconds.
	maxValues = 200_000
)

// bodyRules is what the document says of a request body.
type bodyRules struct {
	schema  *openapi3.Schema
	limit   int64
	options []openapi3.SchemaValidationOption
	// each is set where the items of a list are judged one by one.
	each *itemRules
}

func prepareBody(doc *openapi3.T, spec *openapi3.Operation) (*bodyRules, error) {
	limit, err := extension[int64](spec.Extensions, "x-max-body-bytes")
	if err != nil {
		return nil, err
	}
	media := spec.RequestBody.Value.Content.Get("application/json")
	if media == nil || !spec.RequestBody.Value.Required {
		return nil, errors.New("a body must be required and JSON")
	}
	rules := &bodyRules{
		schema: media.Schema.Value,
		limit:  limit,
		options: append(doc.GetSchemaValidationOptions(),
			openapi3.VisitAsRequest(), openapi3.MultiErrors(), openapi3.SetSchemaRegexCompiler(compilePattern)),
	}
	return rules, rules.prepareItems()
}

// check judges a body by what its request says of it.
func (rules *bodyRules) check(r *http.Request) error {
	if err := checkMediaType(r.Header); err != nil {
		return err
	}
	if r.ContentLength > rules.limit {
		return tooLarge(rules.limit)
	}
	return nil
}

// read takes the body, within its limit. Where its length is known it is read into as much memory and no more.
func (rules *bodyRules) read(w http.ResponseWriter, r *http.Request) (raw []byte, err error) {
	limited := http.MaxBytesReader(w, r.Body, rules.limit)
	if r.ContentLength > 0 {
		raw = make([]byte, r.ContentLength)
		_, err = io.ReadFull(limited, raw)
	} else {
		raw, err = io.ReadAll(limited)
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(rules.limit)
	case err != nil:
		return nil, &problem{code: api.ProblemCodeMalformedJSON, detail: "The body ended before it was complete."}
	}
	return raw, nil
}

func tooLarge(limit int64) *problem {
	return &problem{
		code:   api.ProblemCodePayloadTooLarge,
		detail: fmt.Sprintf("The body of this operation is limited to %d bytes.", limit),
	}
}

// checkMediaType wants JSON in UTF-8, as it is.
func checkMediaType(header http.Header) error {
	unsupported := &problem{
		code:   api.ProblemCodeUnsupportedMediaType,
		detail: `Send the body as "Content-Type: application/json", without a content encoding.`,
	}
	media, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/json" {
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

// decode reads one JSON document. The decoder refuses what the standard library's lets pass: members given twice,
// data after the document, invalid UTF-8, lone surrogates. Its extent is looked at first, on the text, before anything is
// built from it.
func decode(raw []byte) (any, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, malformed("The body is empty.")
	}
	switch depth, values := extent(raw); {
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
		problem := malformed(explain(syntax))
		if syntax.JSONPointer != "" {
			problem.errors = []api.ProblemError{{Pointer: clip(string(syntax.JSONPointer)), Detail: problem.detail}}
		}
		return nil, problem
	}
	return nil, malformed("The body holds a number that is out of range.")
}

func malformed(detail string) *problem {
	return &problem{code: api.ProblemCodeMalformedJSON, detail: detail}
}

// explain says what is wrong with the text and where, without repeating what the client sent.
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

// extent counts brackets and commas outside strings, and stops when there are too many; the decoder judges everything
// else.
func extent(raw []byte) (depth, values int) {
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

// validatedBody hands the value that was validated to the generated handler, which binds that very value.
type validatedBody struct {
	io.ReadCloser
	value any
}

// ValidatedValue is what the generated handler looks for.
func (body validatedBody) ValidatedValue() any { return body.value }
