package samples

import (
	"slices"
	"strings"
	"testing"

	"github.com/oasdiff/yaml3"
)

const small = `servers:
  - url: https://{host}/api
    variables:
      host:
        default: example.com
paths:
  /things/{name}:
    parameters:
      - $ref: "#/components/parameters/Name"
    patch:
      operationId: changeThing
      requestBody:
        content:
          application/json:
            examples:
              one:
                $ref: "#/components/examples/Change"
      responses:
        "200":
          description: It is changed.

components:
  parameters:
    Name:
      name: name
      example: a/b
  examples:
    Change:
      value:
        title: "It's \\ \"#{x}\" <b>é</b>"
        none: null
        sizes: [1, 2.5]
        is-new: true
`

// Samples come at the end of an operation, and nothing else changes.
func TestSamplesAreAdded(t *testing.T) {
	t.Parallel()
	made, err := Add([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(made), "      x-codeSamples:\n")
	if !found || !strings.HasSuffix(before, "description: It is changed.\n") {
		t.Fatalf("the samples are not at the end of the operation:\n%s", made)
	}
	added := slices.Collect(strings.Lines(rest))
	end := slices.IndexFunc(added, func(line string) bool { return strings.HasPrefix(line, "components:") })
	if got := before + "\n" + strings.Join(added[end:], ""); got != small {
		t.Errorf("other text changed:\n%s", got)
	}
	var read struct {
		Paths map[string]map[string]struct {
			Samples []struct{ Label, Source string } `yaml:"x-codeSamples"`
		}
	}
	must(t, yaml.Unmarshal([]byte(strings.Replace(string(made), "    parameters:\n      - $ref: \"#/components/parameters/Name\"\n", "", 1)), &read))
	samples := read.Paths["/things/{name}"]["patch"].Samples
	if len(samples) != len(languages()) {
		t.Errorf("there are %d samples", len(samples))
	}
	for _, one := range samples {
		for _, want := range []string{"https://example.com/api", "/things/a%2Fb", "MAILSTACK_API_KEY"} {
			if !strings.Contains(one.Source, want) {
				t.Errorf("%s: there is no %q in\n%s", one.Label, want, one.Source)
			}
		}
	}
}

// Every language writes the body by its own rules.
func TestBodiesAreLiterals(t *testing.T) {
	t.Parallel()
	found, err := read([]byte(small))
	must(t, err)
	op := found[0]
	for name, want := range map[string]struct {
		write func() (string, error)
		lines []string
	}{
		"JSON":       {op.JSON, []string{`"title": "It's \\ \"#{x}\" <b>é</b>",`, `"none": null,`, `"sizes": [1, 2.5],`, `"is-new": true`}},
		"a shell":    {op.Quoted, []string{`"title": "It'\''s \\ \"#{x}\" <b>é</b>",`}},
		"TypeScript": {op.TypeScript, []string{`title: "It's \\ \"#{x}\" <b>é</b>",`, `"is-new": true,`}},
		"Python":     {op.Python, []string{`"title": "It's \\ \"#{x}\" <b>é</b>",`, `"none": None,`, `"is-new": True,`}},
		"PHP":        {op.PHP, []string{`'title' => 'It\'s \\ "#{x}" <b>é</b>',`, `'none' => null,`, `'sizes' => [1, 2.5],`}},
		"Ruby":       {op.Ruby, []string{`title: "It's \\ \"\#{x}\" <b>é</b>",`, `none: nil,`, `"is-new": true`}},
	} {
		got, err := want.write()
		must(t, err)
		for _, line := range want.lines {
			if !strings.Contains(got, line+"\n") {
				t.Errorf("%s: there is no %s in\n%s", name, line, got)
			}
		}
	}
	if _, err := op.Raw(`"`); err == nil {
		t.Error("a literal may hold its own end")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
