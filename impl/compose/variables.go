package compose

import (
	"math"
	"strconv"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/mail"
	"github.com/voostack/mailstack/impl/problem"
	"github.com/voostack/mailstack/impl/template"
)

// firstInexactInt is the smallest integer that a JSON reader may have rounded from another one (RFC 8259, 6).
const firstInexactInt = 1 << 53

// CheckVariables refuses variables that cannot be rendered, or that rendering would silently change.
func CheckVariables(variables map[string]any) error {
	if err := template.CheckVariables(variables); err != nil {
		return problem.Invalid(api.ProblemCodeValidationFailed, "/variables", problem.Truncate(err.Error()))
	}
	return checkValue("/variables", variables)
}

// checkValue applies to variables what the spec's patterns apply to every other string.
func checkValue(pointer string, value any) error {
	wrong := ""
	switch value := value.(type) {
	case string:
		if mail.HasControl(value, mail.BodyControls) {
			wrong = "holds a control character"
		}
	case float64:
		if math.Abs(value) >= firstInexactInt {
			wrong = "is a number that JSON does not keep exactly, which end before ±2^53; send it as a string"
		}
	case []any:
		for i, item := range value {
			if err := checkValue(pointer+"/"+strconv.Itoa(i), item); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, member := range value {
			if mail.HasControl(name, "") {
				wrong = "has a name that holds a control character"
				break
			}
			if err := checkValue(pointer+"/"+problem.EscapePointer(name), member); err != nil {
				return err
			}
		}
	}
	if wrong == "" {
		return nil
	}
	return problem.Invalid(api.ProblemCodeValidationFailed, problem.Truncate(pointer), wrong)
}
