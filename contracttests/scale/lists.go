package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

const fullPage = 100

// listCase is a list with a set of filters.
type listCase struct {
	title string
	path  string
	// filters are those of the query; moments in them are written as they are in fill.go.
	filters url.Values
	limit   int
}

// list says how a list of the document is asked for.
type list struct {
	// ids take the place of the parameters in the path.
	ids map[string]string
	// limit is the size of a page; the largest unless the list is never that long.
	limit int
	// filters are the queries besides the one without filters.
	filters []string
}

// lists are those of openapi.yaml, by operationId. What is frequent and what is rare is in fill.sql.
func lists() map[string]list {
	return map[string]list{
		"listEmails": {filters: []string{
			"status=Sent", "status=Failed", "status=Queued",
			"to=common@example.com", "to=rare@example.com",
			"from=common@scale.test", "from=rare@scale.test",
			"tag=common", "tag=rare",
			"createdAfter=" + moment(earliest), "createdAfter=" + moment(middle),
			"createdBefore=" + moment(middle), "createdBefore=" + moment(latest),
			"createdAfter=" + moment(middle) + "&createdBefore=" + moment(middle+oldRows),
			"status=Sent&createdAfter=" + moment(middle), "status=Queued&createdBefore=" + moment(latest),
			"to=common@example.com&createdAfter=" + moment(middle), "to=rare@example.com&createdBefore=" + moment(latest),
			"from=common@scale.test&createdBefore=" + moment(middle), "from=rare@scale.test&createdAfter=" + moment(earliest),
			"tag=common&createdBefore=" + moment(middle), "tag=rare&createdAfter=" + moment(earliest),
		}},
		"listEmailEvents": {ids: map[string]string{"id": busyEmail}},
		"listSuppressions": {filters: []string{
			"reason=Bounce", "reason=Complaint", "reason=Manual",
			"address=s1@example.com", "address=s1@example.com&reason=Bounce",
		}},
		// An organization has at most 1,000 templates, a template 1,000 versions, an organization 20 webhooks.
		"listTemplates":         {},
		"listTemplateVersions":  {ids: map[string]string{"id": busyTemplate}},
		"listWebhooks":          {limit: 10},
		"listWebhookDeliveries": {ids: map[string]string{"id": busyWebhook}},
	}
}

// casesOf holds the cases against the document: every list that has pages, and every one of its filters, is among them.
func casesOf(document []byte) ([]listCase, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("read the contract: %w", err)
	}
	known := lists()
	var cases []listCase
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		operation := item.Get
		if operation == nil || operation.Parameters.GetByInAndName("query", "cursor") == nil {
			continue
		}
		asked, found := known[operation.OperationID]
		if !found {
			return nil, fmt.Errorf("the list %s has no case here", operation.OperationID)
		}
		delete(known, operation.OperationID)
		added, err := asked.cases(path, operation)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", operation.OperationID, err)
		}
		cases = append(cases, added...)
	}
	for id := range known {
		return nil, fmt.Errorf("the contract has no list %s", id)
	}
	slices.SortStableFunc(cases, func(a, b listCase) int { return strings.Compare(a.path, b.path) })
	return cases, nil
}

func (l list) cases(path string, operation *openapi3.Operation) ([]listCase, error) {
	filled := path
	for name, id := range l.ids {
		filled = strings.ReplaceAll(filled, "{"+name+"}", id)
	}
	limit := l.limit
	if limit == 0 {
		limit = fullPage
	}
	cases := []listCase{{title: http.MethodGet + " " + path, path: filled, limit: limit}}
	used := map[string]bool{"limit": true, "cursor": true}
	for _, query := range l.filters {
		filters, err := url.ParseQuery(query)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", query, err)
		}
		for name := range filters {
			used[name] = true
		}
		cases = append(cases, listCase{title: path + "?" + query, path: filled, filters: filters, limit: limit})
	}
	for _, parameter := range operation.Parameters {
		if parameter.Value.In == "query" && !used[parameter.Value.Name] {
			return nil, fmt.Errorf("its filter %s has no case here", parameter.Value.Name)
		}
	}
	return cases, nil
}
