package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// change is what oasdiff found in one operation.
type change struct {
	ID        string `json:"id"`
	Text      string `json:"text"`
	Operation string `json:"operation"`
	Path      string `json:"path"`
}

// listed is how many operations a line names.
const listed = 4

var (
	// The same change under several statuses is one change.
	status = regexp.MustCompile(` (for|with) the (response )?status ` + "`[0-9]+`" + `| for status ` + "`[0-9]+`")
	value  = regexp.MustCompile("^added the new (`[^`]+`) enum value to (.+)$")
	whole  = regexp.MustCompile(`\.00` + "`")
)

// section returns the changes for people: new operations, then the rest, each once with the operations that it concerns.
func section(changes []change) string {
	operations := map[string]map[string]bool{}
	values := map[string]map[string]bool{}
	added := map[string]bool{}
	for _, one := range changes {
		operation := "`" + strings.TrimSpace(one.Operation+" "+one.Path) + "`"
		switch one.ID {
		case "endpoint-added":
			added[operation] = true
			continue
		case "api-version-not-bumped": // releases are numbered when they are made
			continue
		}
		text := one.Text
		if one.ID != "response-non-success-status-added" && one.ID != "response-success-status-added" {
			text = status.ReplaceAllString(text, "")
		}
		text = whole.ReplaceAllString(text, "`")
		if found := value.FindStringSubmatch(text); found != nil {
			text = "added enum values to " + found[2]
			add(values, text, found[1])
		}
		add(operations, text, operation)
	}
	var written strings.Builder
	if len(added) > 0 {
		written.WriteString("### New operations\n\n")
		for _, operation := range slices.Sorted(maps.Keys(added)) {
			written.WriteString("- " + operation + "\n")
		}
		written.WriteString("\n")
	}
	if len(operations) > 0 {
		written.WriteString("### Changed operations\n\n")
	}
	for _, text := range slices.Sorted(maps.Keys(operations)) {
		line := text
		if named := slices.Sorted(maps.Keys(values[text])); len(named) > 0 {
			line += ": " + strings.Join(named, ", ")
		}
		names := slices.Sorted(maps.Keys(operations[text]))
		where := strings.Join(names, ", ")
		if len(names) > listed {
			where = fmt.Sprintf("%d operations", len(names))
		}
		fmt.Fprintf(&written, "- %s (%s)\n", line, where)
	}
	if written.Len() == 0 {
		return "Nothing.\n"
	}
	return strings.TrimRight(written.String(), "\n") + "\n"
}

func add(to map[string]map[string]bool, text, member string) {
	if to[text] == nil {
		to[text] = map[string]bool{}
	}
	to[text][member] = true
}
