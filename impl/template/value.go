package template

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

const (
	// maxDepth is how deep lists and objects may be nested, the variables
	// themselves being the first level.
	maxDepth = 8
	// maxNames is how many members one object may have.
	maxNames = 1000
	// maxValues is how many values the variables may hold in all.
	maxValues = 20000
	// maxName is how many octets a name may have.
	maxName = 200
	// maxNumber is how many octets a number may have as it was sent.
	maxNumber = 400
)

// CheckVariables returns a [*ValueError] for variables that cannot be rendered.
// They must be plain JSON values, at most 8 levels deep, with objects of at most
// 1,000 members, 20,000 values in all, and names of 1 to 200 octets.
func CheckVariables(variables map[string]any) error {
	_, err := normalize(variables)
	return err
}

// normalize copies variables into the few types that the library prints and tests
// as we want: string, bool, nil, int(0), map[string]any and []any. Values with
// methods must never reach the library, because it calls them by name.
func normalize(variables map[string]any) (map[string]any, error) {
	n := normalizer{left: maxValues}
	return n.object("", variables, 1)
}

type normalizer struct {
	left int
}

func (n *normalizer) value(name string, value any, depth int) (any, error) {
	if n.left--; n.left < 0 {
		return nil, &ValueError{Detail: fmt.Sprintf("hold more than %d values", maxValues)}
	}
	switch v := value.(type) {
	case nil, bool:
		return v, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, &ValueError{Name: name, Detail: "is not valid UTF-8"}
		}
		return v, nil
	case int:
		return integer(int64(v)), nil
	case int64:
		return integer(v), nil
	case float64:
		return number(name, v)
	case json.Number:
		return jsonNumber(name, v)
	case map[string]any:
		return n.object(name, v, depth+1)
	case []any:
		return n.list(name, v, depth+1)
	default:
		return nil, &ValueError{Name: name, Detail: "is not a string, number, boolean, list or object"}
	}
}

func (n *normalizer) object(name string, members map[string]any, depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, &ValueError{Detail: fmt.Sprintf("are nested more than %d levels deep", maxDepth)}
	}
	if len(members) > maxNames {
		return nil, &ValueError{Name: name, Detail: fmt.Sprintf("have more than %d members", maxNames)}
	}
	out := make(map[string]any, len(members))
	for key, member := range members {
		if key == "" || len(key) > maxName || !utf8.ValidString(key) {
			return nil, &ValueError{Detail: fmt.Sprintf("have a name that is not 1 to %d octets of UTF-8", maxName)}
		}
		value, err := n.value(join(name, key), member, depth)
		if err != nil {
			return nil, err
		}
		out[key] = value
	}
	return out, nil
}

func (n *normalizer) list(name string, items []any, depth int) ([]any, error) {
	if depth > maxDepth {
		return nil, &ValueError{Detail: fmt.Sprintf("are nested more than %d levels deep", maxDepth)}
	}
	if len(items) > n.left {
		return nil, &ValueError{Detail: fmt.Sprintf("hold more than %d values", maxValues)}
	}
	out := make([]any, len(items))
	for i, item := range items {
		value, err := n.value(name, item, depth)
		if err != nil {
			return nil, err
		}
		out[i] = value
	}
	return out, nil
}

// blank replaces every null with an empty string, in place. To a section both are
// false, and both hide the value of an outer context.
func blank(value any) any {
	switch v := value.(type) {
	case nil:
		return ""
	case map[string]any:
		for name, member := range v {
			v[name] = blank(member)
		}
	case []any:
		for i, item := range v {
			v[i] = blank(item)
		}
	}
	return value
}

func join(name, key string) string {
	if name == "" {
		return key
	}
	return name + "." + key
}

// integer keeps zero a number, because a section does not treat the string "0" as
// false.
func integer(v int64) any {
	if v == 0 {
		return 0
	}
	return strconv.FormatInt(v, 10)
}

// number writes a float without an exponent, in the fewest digits that
// identify it: 1e6 is 1000000.
func number(name string, v float64) (any, error) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, &ValueError{Name: name, Detail: "is not a finite number"}
	}
	if v == 0 {
		return 0, nil
	}
	return strconv.FormatFloat(v, 'f', -1, 64), nil
}

// jsonNumber keeps every digit of an integer, which a float would not.
func jsonNumber(name string, v json.Number) (any, error) {
	if len(v) > maxNumber {
		return nil, &ValueError{Name: name, Detail: fmt.Sprintf("is a number of more than %d digits", maxNumber)}
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		return nil, &ValueError{Name: name, Detail: "is not a number that can be shown"}
	}
	if f != 0 && isInteger(string(v)) {
		return string(v), nil
	}
	return number(name, f)
}

func isInteger(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
