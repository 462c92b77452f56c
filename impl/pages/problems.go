package pages

import (
	"encoding/json"

	"github.com/voostack/mailstack/gen/api"
	"github.com/voostack/mailstack/impl/problem"
)

// problemEntry is what the pages show of one problem.
type problemEntry struct {
	Code   api.ProblemCode
	Status int
	Title  string
	About  string
	// Body is an answer with this problem.
	Body string
	// Operations are those that give it.
	Operations []*operation
}

// problemEntries returns all problems, each with the operations whose examples have it.
func problemEntries(operations []*operation) []problemEntry {
	var entries []problemEntry
	for _, code := range problem.Codes() {
		kind, _ := problem.KindOf(code)
		entry := problemEntry{Code: code, Status: kind.Status, Title: kind.Title, About: kind.About}
		for _, op := range operations {
			if body, gives := op.exampleOf(entry); gives {
				entry.Operations = append(entry.Operations, op)
				if entry.Body == "" {
					entry.Body = body
				}
			}
		}
		if entry.Body == "" {
			entry.Body = inventedBody(entry)
		}
		entries = append(entries, entry)
	}
	return entries
}

// exampleOf reports whether an operation gives a problem, and returns the body of its example, if it has one. Whatever is
// wrong with a request is validation-failed or malformed-json, also where an operation's examples show rarer problems.
func (op *operation) exampleOf(entry problemEntry) (body string, gives bool) {
	for _, one := range op.Answers {
		for _, shown := range one.Problems {
			if shown.Code == string(entry.Code) {
				return shown.Body, true
			}
		}
		if one.Status == entry.Status {
			gives = entry.Code == api.ProblemCodeValidationFailed || entry.Code == api.ProblemCodeMalformedJSON && op.Body != nil
		}
	}
	return "", gives
}

// inventedBody is the body of a problem that no example shows.
func inventedBody(entry problemEntry) string {
	body, err := json.MarshalIndent(api.Problem{
		Type: "/problems/" + string(entry.Code), Title: entry.Title, Status: entry.Status, Detail: entry.Title, Code: entry.Code,
		RequestID: "0197b2c4-5a0f-7a11-8c22-0d1e2f3a4b5c",
	}, "", "  ")
	if err != nil {
		return ""
	}
	return string(body)
}
