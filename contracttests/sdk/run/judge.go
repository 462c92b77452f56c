package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// unknownValue replaces an enum value in clients whose generator drops the text of unknown values.
const unknownValue = "unknown_default_open_api"

// verdict holds what is wrong with each step; a step without an entry has passed.
type verdict struct {
	failures []string
	passed   int
	steps    int
	// files is the number of parsed files, in the place of steps, of a language without a runtime here.
	files int
}

func (v verdict) ok() bool { return len(v.failures) == 0 && v.passed == v.steps && v.steps+v.files > 0 }

func (v verdict) String() string {
	switch {
	case v.steps > 0:
		return fmt.Sprintf("%d/%d passed", v.passed, v.steps)
	case v.ok():
		return fmt.Sprintf("generated and parsed, %d files (no runtime here)", v.files)
	default:
		return "not generated and parsed"
	}
}

// judge compares the findings of a runner with the scenario: every step once, in order, no other, and every member.
func judge(expected scenario, found []finding) verdict {
	result := verdict{steps: len(expected.Steps)}
	seen := make(map[string]map[string]any, len(found))
	for i, step := range expected.Steps {
		if i >= len(found) {
			result.failures = append(result.failures, fmt.Sprintf("%s: not run", step.Name))
			continue
		}
		if found[i].Step != step.Name {
			result.failures = append(result.failures, fmt.Sprintf("%s: the runner took the step %q instead", step.Name, found[i].Step))
			continue
		}
		seen[step.Name] = found[i].Observed
		wrong := differences(step.Expect, found[i].Observed, seen)
		if len(wrong) == 0 {
			result.passed++
		}
		for _, one := range wrong {
			result.failures = append(result.failures, step.Name+": "+one)
		}
	}
	for _, extra := range found[min(len(found), len(expected.Steps)):] {
		result.failures = append(result.failures, fmt.Sprintf("the runner added the step %q", extra.Step))
	}
	return result
}

// differences names the members that are wrong, missing or unexpected.
func differences(expected, observed map[string]any, seen map[string]map[string]any) []string {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		value, there := observed[name]
		if !there {
			wrong = append(wrong, name+" was not looked at")
			continue
		}
		if !matches(expected[name], value, seen) {
			wrong = append(wrong, fmt.Sprintf("%s is %s, expected %s", name, shown(value), shown(expected[name])))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(observed)) {
		if _, asked := expected[name]; !asked {
			wrong = append(wrong, name+" is not in the scenario")
		}
	}
	return wrong
}

// matches reports whether the value equals the expected one, or satisfies the rule in its place.
func matches(expected, value any, seen map[string]map[string]any) bool {
	switch expected := expected.(type) {
	case []any:
		values, isList := value.([]any)
		if !isList || len(values) != len(expected) {
			return false
		}
		for i := range expected {
			if !matches(expected[i], values[i], seen) {
				return false
			}
		}
		return true
	case map[string]any:
		return fulfils(expected, value, seen)
	default:
		return reflect.DeepEqual(expected, value)
	}
}

// fulfils reports whether a value satisfies a rule. The rules are {"is": "uuid"|"time"|"text"}, {"matches":
// expression}, {"time": instant}, {"set": values in any order, written here in order}, {"unknown": value of an
// enum} and {"from": step, "member": name}.
func fulfils(rule map[string]any, value any, seen map[string]map[string]any) bool {
	if source, fromStep := rule["from"].(string); fromStep {
		member, _ := rule["member"].(string)
		earlier, there := seen[source][member]
		return there && reflect.DeepEqual(earlier, value)
	}
	if wanted, isSet := rule["set"].([]any); isSet {
		values, isList := value.([]any)
		return isList && matches(wanted, slices.SortedFunc(slices.Values(values), byText), seen)
	}
	text, isText := value.(string)
	if !isText || len(rule) != 1 {
		return false
	}
	for name, operand := range rule {
		operand, _ := operand.(string)
		switch name + " " + operand {
		case "is uuid":
			_, err := uuid.Parse(text)
			return err == nil
		case "is time":
			_, err := time.Parse(time.RFC3339, text)
			return err == nil
		case "is text":
			return strings.TrimSpace(text) != ""
		}
		switch name {
		case "matches":
			expression, err := regexp.Compile(operand)
			return err == nil && expression.MatchString(text)
		case "time":
			wanted, err := time.Parse(time.RFC3339, operand)
			got, gotErr := time.Parse(time.RFC3339, text)
			return err == nil && gotErr == nil && wanted.Equal(got)
		case "unknown":
			return text == operand || text == unknownValue
		}
	}
	return false
}

func byText(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }

func shown(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
