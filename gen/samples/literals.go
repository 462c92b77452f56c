package samples

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/oasdiff/yaml3"
)

// notation is how a language writes values.
type notation struct {
	null, yes, no string
	// object and list are their brackets.
	object, list [2]string
	// key returns the name of a member with what separates it from its value.
	key func(name string) (string, error)
	// text returns a string.
	text func(value string) (string, error)
	// step is the indentation, and trailing what follows the last member.
	step, trailing string
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func inJSON() notation {
	key := func(name string) (string, error) { written, err := encoded(name); return written + ": ", err }
	return notation{"null", "true", "false", [2]string{"{", "}"}, [2]string{"[", "]"}, key, encoded, "  ", ""}
}

func inTypeScript() notation {
	made := inJSON()
	made.key, made.trailing = bareKey, ","
	return made
}

func inPython() notation {
	made := inJSON()
	made.null, made.yes, made.no, made.step, made.trailing = "None", "True", "False", "    ", ","
	return made
}

func inPHP() notation {
	text := func(value string) (string, error) {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'", nil
	}
	key := func(name string) (string, error) { written, err := text(name); return written + " => ", err }
	return notation{"null", "true", "false", [2]string{"[", "]"}, [2]string{"[", "]"}, key, text, "    ", ","}
}

func inRuby() notation {
	made := inJSON()
	made.null, made.key = "nil", bareKey
	made.text = func(value string) (string, error) {
		written, err := encoded(value)
		return strings.ReplaceAll(written, "#", `\#`), err
	}
	return made
}

// bareKey writes the name of a member without quotes, where it can be.
func bareKey(name string) (string, error) {
	if identifier.MatchString(name) {
		return name + ": ", nil
	}
	written, err := encoded(name)
	return written + ": ", err
}

// encoded returns a string as JSON has it.
func encoded(value string) (string, error) {
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", fmt.Errorf("write a string: %w", err)
	}
	return strings.TrimSpace(written.String()), nil
}

// JSON returns the body as JSON; TypeScript and so on as a literal of that language.
func (op *operation) JSON() (string, error) { return inJSON().write(op.body) }

// TypeScript returns the body as a literal.
func (op *operation) TypeScript() (string, error) { return inTypeScript().write(op.body) }

// Python returns the body as a literal.
func (op *operation) Python() (string, error) { return inPython().write(op.body) }

// PHP returns the body as a literal.
func (op *operation) PHP() (string, error) { return inPHP().write(op.body) }

// Ruby returns the body as a literal.
func (op *operation) Ruby() (string, error) { return inRuby().write(op.body) }

// Quoted returns the body as JSON between the single quotes of a shell.
func (op *operation) Quoted() (string, error) {
	written, err := op.JSON()
	return "'" + strings.ReplaceAll(written, "'", `'\''`) + "'", err
}

// Raw returns the body as JSON for a literal that ends at the given delimiter and knows no escapes.
func (op *operation) Raw(delimiter string) (string, error) {
	written, err := op.JSON()
	if strings.Contains(written, delimiter) {
		return "", fmt.Errorf("the body contains %s", delimiter)
	}
	return written, err
}

func (n notation) write(value *yaml.Node) (string, error) {
	switch value.Kind {
	case yaml.MappingNode:
		var members []string
		for name, inner := range (tree{value}).members() {
			key, err := n.key(name)
			if err != nil {
				return "", err
			}
			written, err := n.write(inner.node)
			if err != nil {
				return "", err
			}
			members = append(members, key+written)
		}
		return n.enclose(n.object, members)
	case yaml.SequenceNode:
		var items []string
		for _, inner := range value.Content {
			written, err := n.write(inner)
			if err != nil {
				return "", err
			}
			items = append(items, written)
		}
		return n.enclose(n.list, items)
	case yaml.ScalarNode:
		return n.scalar(value)
	default:
		return "", errors.New("an example holds an alias")
	}
}

// enclose writes members one to a line, but short lists of texts and the like on one.
func (n notation) enclose(brackets [2]string, members []string) (string, error) {
	if len(members) == 0 {
		return "", errors.New("an example holds an empty list or object, which some languages write alike")
	}
	line := brackets[0] + strings.Join(members, ", ") + brackets[1]
	if brackets == n.list && len(line) <= 60 && !strings.ContainsAny(line, "\n=:") {
		return line, nil
	}
	var written strings.Builder
	written.WriteString(brackets[0] + "\n")
	for i, member := range members {
		separator := ","
		if i == len(members)-1 {
			separator = n.trailing
		}
		written.WriteString(n.step + strings.ReplaceAll(member, "\n", "\n"+n.step) + separator + "\n")
	}
	return written.String() + brackets[1], nil
}

func (n notation) scalar(value *yaml.Node) (string, error) {
	switch value.Tag {
	case "!!null":
		return n.null, nil
	case "!!bool":
		return map[bool]string{true: n.yes, false: n.no}[value.Value == "true"], nil
	case "!!int", "!!float":
		return value.Value, nil
	default:
		return n.text(value.Value)
	}
}
