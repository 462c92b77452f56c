package contracttests

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// naming is what naming.md says.
type naming struct {
	// instead maps a word that is never used, in lower case and without separators, to ours.
	instead map[string]string
	// names are the lists of known names, by their heading.
	names map[string][]string
}

var inCode = regexp.MustCompile("`([^`]+)`")

func readNaming(t *testing.T) naming {
	t.Helper()
	source, err := os.ReadFile("naming.md")
	must(t, err)
	found := naming{map[string]string{}, map[string][]string{}}
	for _, section := range strings.Split(string(source), "\n## ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		if heading != "Words" {
			for _, name := range inCode.FindAllStringSubmatch(text, -1) {
				found.names[heading] = append(found.names[heading], name[1])
			}
			continue
		}
		for line := range strings.Lines(text) {
			cells := strings.Split(line, "|")
			if len(cells) != 5 {
				continue
			}
			for _, never := range inCode.FindAllStringSubmatch(cells[3], -1) {
				found.instead[bare(never[1])] = strings.TrimSpace(cells[1])
			}
		}
	}
	return found
}

// bare returns a name without what tells camelCase, snake_case and kebab-case apart.
func bare(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// namesIn returns the names of members, parameters and header fields in a document.
func namesIn(t *testing.T, doc *openapi3.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{"Members": {}, "Parameters": {}, "Header fields of answers": {}}
	encoded, err := json.Marshal(doc)
	must(t, err)
	var whole any
	must(t, json.Unmarshal(encoded, &whole))
	visitMembers("", whole, func(path, name string, value any) {
		object, isObject := value.(map[string]any)
		if name != "properties" || !isObject || strings.Contains(path, "/example") {
			return
		}
		for member := range object {
			found["Members"][member] = true
		}
	})
	for _, op := range operationsOf(doc) {
		for _, parameter := range slices.Concat(doc.Paths.Value(op.path).Parameters, op.spec.Parameters) {
			found["Parameters"][parameter.Value.Name] = true
		}
		for _, response := range op.spec.Responses.Map() {
			for header := range response.Value.Headers {
				found["Header fields of answers"][header] = true
			}
		}
		for _, callback := range op.spec.Callbacks {
			for _, target := range callback.Value.Map() {
				for _, parameter := range target.Post.Parameters {
					found["Parameters"][parameter.Value.Name] = true
				}
			}
		}
	}
	return found
}

// namingFaults compares the names of a document with naming.md.
func namingFaults(t *testing.T, doc *openapi3.T) []string {
	t.Helper()
	known := readNaming(t)
	var faults []string
	for heading, names := range namesIn(t, doc) {
		for name := range names {
			if ours := known.instead[bare(name)]; ours != "" {
				faults = append(faults, fmt.Sprintf("%s: our word is %s", name, ours))
			}
			if !slices.Contains(known.names[heading], name) {
				faults = append(faults, fmt.Sprintf("%s is not in naming.md under %q", name, heading))
			}
		}
		for _, name := range known.names[heading] {
			if !names[name] {
				faults = append(faults, fmt.Sprintf("naming.md lists %s, which the document does not have", name))
			}
		}
	}
	for name, schema := range doc.Components.Schemas {
		walk(name, schema, func(path string, schema *openapi3.Schema) { faults = append(faults, formFaults(path, schema)...) })
	}
	return faults
}

var (
	camelCase = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	// forms are how the values of an enum are written.
	forms = map[string]*regexp.Regexp{
		"state": regexp.MustCompile(`^[A-Z][a-z]+$`), "code": regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`),
		"scope": regexp.MustCompile(`^[a-z-]+:[a-z]+$`), "event": regexp.MustCompile(`^[a-z]+\.[a-z]+$`),
	}
	// foreign are the first values of enums whose values come from elsewhere.
	foreign = []any{"CNAME", "DKIM"}
)

// formFaults returns what is wrong with the names in a schema, whatever they mean.
func formFaults(path string, schema *openapi3.Schema) []string {
	var faults []string
	for name, property := range schema.Properties {
		isTime, isPeriod := property.Value.Format == "date-time", strings.HasPrefix(name, "period")
		if isTime != (name == "at" || strings.HasSuffix(name, "At")) && !isPeriod {
			faults = append(faults, fmt.Sprintf("%s.%s: a time ends in At", path, name))
		}
		if property.Value.Format == "uuid" && name != "id" && !strings.HasSuffix(name, "Id") {
			faults = append(faults, fmt.Sprintf("%s.%s: an id ends in Id", path, name))
		}
		if !camelCase.MatchString(name) {
			faults = append(faults, fmt.Sprintf("%s.%s is not in camelCase", path, name))
		}
	}
	if schema.Enum == nil || slices.Contains(foreign, schema.Enum[0]) {
		return faults
	}
	oneForm := slices.ContainsFunc(slices.Collect(maps.Values(forms)), func(form *regexp.Regexp) bool {
		return !slices.ContainsFunc(schema.Enum, func(value any) bool { return value != nil && !form.MatchString(fmt.Sprint(value)) })
	})
	if !oneForm {
		faults = append(faults, fmt.Sprintf("%s: the values %v have no form in common", path, schema.Enum))
	}
	return faults
}

func TestOneThingHasOneName(t *testing.T) {
	t.Parallel()
	for _, fault := range namingFaults(t, document(t)) {
		t.Error(fault)
	}
}

// Every kind of wrong name is noticed.
func TestSecondNamesAreNoticed(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]string{"created_at": "date-time", "timestamp": "date-time", "emailUuid": "uuid", "brandNew": "", "sentOn": "date-time"} {
		doc := ownDocument(t)
		doc.Components.Schemas["Usage"].Value.Properties[name] = openapi3.NewSchemaRef("", openapi3.NewStringSchema().WithFormat(format))
		if len(namingFaults(t, doc)) == 0 {
			t.Errorf("%s passes", name)
		}
	}
	doc := ownDocument(t)
	doc.Components.Schemas["EmailStatus"].Value.Enum = append(doc.Components.Schemas["EmailStatus"].Value.Enum, "on-hold")
	if len(namingFaults(t, doc)) == 0 {
		t.Error("another form of an enum's values passes")
	}
}
