package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// withScopes returns the document with the required scopes at the end of each operation's description: OpenAPI 3.0 has no
// place for them beside an extension, which few readers show.
func withScopes(document []byte) ([]byte, error) {
	const extension, description = "      x-required-scopes: ", "      description: "
	var made []string
	for line := range strings.Lines(string(document)) {
		given, found := strings.CutPrefix(line, extension)
		if !found {
			made = append(made, line)
			continue
		}
		var scopes []string
		if err := json.Unmarshal([]byte(given), &scopes); err != nil {
			return nil, fmt.Errorf("read the scopes %s: %w", strings.TrimSpace(given), err)
		}
		last := made[len(made)-1]
		switch text, oneLine := strings.CutPrefix(last, description); {
		case oneLine && !strings.ContainsAny(text[:1], `"'|>`):
			made = slices.Replace(made, len(made)-1, len(made), description+"|\n", "        "+text)
		case !strings.HasPrefix(last, "        "):
			return nil, fmt.Errorf("the scopes %s don't follow a description: %s", strings.TrimSpace(given), strings.TrimSpace(last))
		}
		made = append(made, "\n", "        "+scopeText(scopes)+"\n", line)
	}
	return []byte(strings.Join(made, "")), nil
}

// scopeText names the scopes of which a key needs one.
func scopeText(scopes []string) string {
	return "Needs a key with the scope `" + strings.Join(scopes, "` or `") + "`."
}
