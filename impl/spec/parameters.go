package spec

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// CheckParameters validates the parameters in the path, the query and the header.
func (op *Operation) CheckParameters(request *http.Request, path map[string]string) error {
	if err := op.checkQuery(request.URL.RawQuery); err != nil {
		return err
	}
	input := &openapi3filter.RequestValidationInput{
		Request:    request,
		PathParams: path,
		Route:      &routers.Route{Path: op.Path, Method: op.Method, Operation: op.spec},
		Options: &openapi3filter.Options{
			RegexCompiler:           CompilePattern,
			SchemaValidationOptions: op.parameterOptions,
		},
	}
	for _, parameter := range op.parameters {
		if parameter.Value.In == "header" {
			if err := checkHeader(request.Header, parameter.Value); err != nil {
				return err
			}
		}
		if err := openapi3filter.ValidateParameter(request.Context(), input, parameter.Value); err != nil {
			return &problem.Problem{
				Code:   api.ProblemCodeValidationFailed,
				Detail: fmt.Sprintf("The %s in the %s %s.", parameter.Value.Name, parameter.Value.In, parameterFault(err)),
			}
		}
	}
	return nil
}

// checkHeader refuses a field that is given twice or without a value.
func checkHeader(header http.Header, parameter *openapi3.Parameter) error {
	values := header.Values(parameter.Name)
	if len(values) > 1 || len(values) == 1 && values[0] == "" {
		return &problem.Problem{
			Code: api.ProblemCodeValidationFailed, Detail: "The " + parameter.Name + " in the header is empty or given twice.",
		}
	}
	return nil
}

func parameterFault(err error) string {
	var fault *openapi3.SchemaError
	if errors.As(err, &fault) && fault.Schema != nil && fault.Schema.Format == "uuid" {
		return "is not a UUID"
	}
	return "is not valid"
}

// checkQuery refuses what would otherwise be dropped silently, and a filter with it: an unknown parameter, one
// that is given twice or without a value, and a query that cannot be parsed.
func (op *Operation) checkQuery(raw string) error {
	if raw == "" {
		return nil
	}
	wrong := func(format string, args ...any) error {
		return &problem.Problem{Code: api.ProblemCodeValidationFailed, Detail: problem.Truncate(fmt.Sprintf(format, args...))}
	}
	given, err := url.ParseQuery(raw)
	if err != nil {
		return wrong("The query is not well-formed.")
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		parameter := op.parameters.GetByInAndName("query", name)
		switch {
		case parameter == nil:
			return wrong("The query parameter %q is unknown.", name)
		case len(given[name]) > 1:
			return wrong("The query parameter %q is given twice.", name)
		case given.Get(name) == "":
			return wrong("The query parameter %q is empty.", name)
		case parameter.Schema.Value.Type.Is("boolean") && given.Get(name) != "true" && given.Get(name) != "false":
			// The library reads what strconv.ParseBool does.
			return wrong("The %s in the query is not valid.", name)
		}
	}
	return nil
}
