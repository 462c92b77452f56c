package main

import (
	"os"
	"strings"
	"testing"
)

// Every list and filter of the spec needs a case here.
func TestEveryListAndFilterHasACase(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := casesOf(document)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) < len(lists()) {
		t.Errorf("%d cases of %d lists", len(cases), len(lists()))
	}
	for _, change := range []struct{ old, new string }{
		{"operationId: listTemplates", "operationId: listPatterns"},
		{"        - name: tag\n          in: query", "        - name: label\n          in: query"},
	} {
		changed := strings.Replace(string(document), change.old, change.new, 1)
		if _, err := casesOf([]byte(changed)); changed == string(document) || err == nil {
			t.Errorf("nothing was noticed about %q", change.new)
		}
	}
}
