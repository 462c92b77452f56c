package spec

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// schemaProblem turns a schema error into a problem with JSON pointers and sentences.
func schemaProblem(err error) error {
	if err == nil {
		return nil
	}
	found := schemaErrors(nil, err)
	if len(found) == 0 {
		return fmt.Errorf("validate the body: %w", err)
	}
	return &problem.Problem{Code: api.ProblemCodeValidationFailed, Detail: found[0].Detail, Errors: found}
}

func schemaErrors(found []api.ProblemError, err error) []api.ProblemError {
	if several, ok := errors.AsType[openapi3.MultiError](err); ok {
		for _, one := range several {
			if len(found) >= problem.MaxErrors {
				break
			}
			found = schemaErrors(found, one)
		}
		return found
	}
	if fault, ok := errors.AsType[*openapi3.SchemaError](err); ok {
		found = append(found, api.ProblemError{Pointer: problem.Truncate(Pointer(fault)), Detail: problem.Truncate(faultDetail(fault))})
	}
	return found
}

// Pointer returns the JSON pointer (RFC 6901) of a schema error, including the name of an unknown member.
func Pointer(fault *openapi3.SchemaError) string {
	var pointer strings.Builder
	for _, step := range fault.JSONPointer() {
		pointer.WriteString("/" + problem.EscapePointer(step))
	}
	if name, unknown := unknownMember(fault); unknown {
		pointer.WriteString("/" + problem.EscapePointer(name))
	}
	return pointer.String()
}

// unknownMember returns the name of an unknown member. The library gives it only in its message, quoted as Go
// does.
func unknownMember(fault *openapi3.SchemaError) (string, bool) {
	if fault.SchemaField != "properties" {
		return "", false
	}
	quoted, found := strings.CutPrefix(fault.Reason, "property ")
	if !found {
		return "", false
	}
	name, err := strconv.Unquote(strings.TrimSuffix(quoted, " is unsupported"))
	return name, err == nil
}

func faultDetail(fault *openapi3.SchemaError) string {
	if name, unknown := unknownMember(fault); unknown {
		return fmt.Sprintf("property %q is unknown", name)
	}
	switch fault.SchemaField {
	case "pattern":
		if fault.Schema.Pattern == headerPattern || fault.Schema.Pattern == bodyPattern {
			return "holds a control character"
		}
	case "format":
		if cause := errors.Unwrap(fault); cause != nil {
			return cause.Error()
		}
	}
	return fault.Reason
}
