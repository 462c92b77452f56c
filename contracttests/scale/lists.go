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
	// filters are the filters of the query; moments in them are written as in fill.go.
	filters url.Values
	limit   int
}

// list is how to request a list of the spec.
type list struct {
	// ids replace the parameters in the path.
	ids map[string]string
	// limit is the page size. Zero means the largest; a list that is never that long has a smaller one.
	limit int
	// filters are the queries to make besides the one without filters.
	filters []string
}

// lists returns the lists of openapi.yaml, by operationId. fill.sql decides which filters are frequent and which
// are rare.
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

// casesOf returns all cases. It fails when a list of the spec that has pages, or one of its filters, has no case.
func casesOf(document []byte) ([]listCase, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("read the spec: %w", err)
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
			return nil, fmt.Errorf("the list %s has no case", operation.OperationID)
		}
		delete(known, operation.OperationID)
		added, err := asked.cases(path, operation)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", operation.OperationID, err)
		}
		cases = append(cases, added...)
	}
	for id := range known {
		return nil, fmt.Errorf("the spec has no list %s", id)
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
			return nil, fmt.Errorf("its filter %s has no case", parameter.Value.Name)
		}
	}
	return cases, nil
}
