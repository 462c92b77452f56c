package pages

import (
	"fmt"
	"strings"

	"github.com/voostack/mailstack/impl/pages/design"
)

// llms returns /llms.txt (llmstxt.org): what there is to read, for programs that read text.
func (d *document) llms(entries []problemEntry) *design.Static {
	var text strings.Builder
	about, _, _ := strings.Cut(d.Info.Description, "\n\n")
	fmt.Fprintf(&text, "# %s\n\n> %s\n", d.Info.Title, strings.Join(strings.Fields(about), " "))
	section := func(title string, entries ...[3]string) {
		text.WriteString("\n## " + title + "\n\n")
		for _, entry := range entries {
			fmt.Fprintf(&text, "- [%s](%s): %s\n", entry[0], entry[1], entry[2])
		}
	}
	section("Guides",
		[3]string{"API reference", "/docs.md", "every operation with its parameters, bodies, answers and a request with curl"},
		[3]string{"Webhooks", "/docs/webhooks.md", "events that are posted to your URLs: payloads, signatures, repetitions"},
		[3]string{"Versions and deprecation", "/docs/versioning.md", "what can change, and how the end of something is announced"},
		[3]string{"Problems", "/problems.md", "all codes of errors"},
	)
	section("OpenAPI",
		[3]string{"OpenAPI 3.0 as YAML", "/openapi.yaml", "the whole API for generators and tools"},
		[3]string{"OpenAPI 3.0 as JSON", "/openapi.json", "the same"},
		[3]string{"OpenAPI 3.1 as YAML", "/openapi-3.1.yaml", "the same in the newer dialect"},
		[3]string{"OpenAPI 3.1 as JSON", "/openapi-3.1.json", "the same in the newer dialect"},
	)
	problems := make([][3]string, 0, len(entries))
	for _, entry := range entries {
		problems = append(problems, [3]string{string(entry.Code), "/problems/" + string(entry.Code) + ".md", entry.Title})
	}
	section("Optional", problems...)
	return design.NewStatic("text/markdown; charset=utf-8", "", []byte(text.String()))
}
