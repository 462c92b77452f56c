package contracttests

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/gen/api"
)

// example is a body in the spec: of a response, or with status 0 of a request.
type example struct {
	cell
	name   string
	value  any
	schema *openapi3.Schema
}

func (e example) String() string {
	return fmt.Sprintf("%s %d example %q", e.operation, e.status, e.name)
}

// examplesOf returns all examples of bodies in a spec.
func examplesOf(doc *openapi3.T) []example {
	var found []example
	add := func(at cell, content openapi3.Content) {
		for _, media := range content {
			for _, name := range slices.Sorted(maps.Keys(media.Examples)) {
				found = append(found, example{at, name, asRead(media.Examples[name].Value.Value), media.Schema.Value})
			}
		}
	}
	for _, op := range operationsOf(doc) {
		if op.spec.RequestBody != nil {
			add(cell{op.id, 0}, op.spec.RequestBody.Value.Content)
		}
		for listed, response := range op.spec.Responses.Map() {
			if status, err := strconv.Atoi(listed); err == nil {
				add(cell{op.id, status}, response.Value.Content)
			}
		}
	}
	return found
}

// asRead converts a value to what a JSON decoder returns. Values read from YAML always encode.
func asRead(value any) any {
	encoded, _ := json.Marshal(value)
	var read any
	_ = json.Unmarshal(encoded, &read)
	return read
}

// TestExamplesOfMembers compares the examples of parameters, headers and members with their schemas, and proves
// that it notices faults. TestExamplesAreWhatTheyIllustrate does so for the examples of bodies.
func TestExamplesOfMembers(t *testing.T) {
	t.Parallel()
	must(t, ownDocument(t).Validate(t.Context()))
	changes := map[string]func(openapi3.Components){
		"a parameter": func(c openapi3.Components) { c.Parameters["EmailId"].Value.Example = 5 },
		"a member":    func(c openapi3.Components) { c.Schemas["Email"].Value.Properties["subject"].Value.Example = 5 },
		"an enum":     func(c openapi3.Components) { c.Schemas["DomainStatus"].Value.Example = "Lost" },
	}
	for what, change := range changes {
		doc := ownDocument(t)
		change(*doc.Components)
		if doc.Validate(t.Context()) == nil {
			t.Errorf("a wrong example of %s is not noticed", what)
		}
	}
	for name, header := range document(t).Components.Headers {
		// The library checks all other examples, but not these.
		if err := header.Value.Schema.Value.VisitJSON(header.Value.Example, openapi3.EnableFormatValidation()); err != nil {
			t.Errorf("the example of the header %s: %v", name, err)
		}
	}
}

// TestRequestExamplesSucceed sends every example of a body as it is, from an organization that has verified the
// domain of the examples, and reads every id in the spec.
func TestRequestExamplesSucceed(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	owner := s.newTenant()
	owner.verified("yourdomain.com")
	template := owner.createTemplate("of the examples").ID.String()
	for _, op := range operations(t, withBody) {
		for _, one := range examplesOf(document(t)) {
			if one.cell != (cell{op.id, 0}) {
				continue
			}
			sender := owner
			if op.id == "createDomain" {
				sender = s.newTenant()
			}
			id := template
			if strings.HasPrefix(op.path, webhooksPath) {
				id = owner.createWebhook("https://example.com", "email.sent").ID.String()
			}
			came := sender.call(op.method, op.at(id), one.value)
			if success := successOf(op); came.status != success {
				t.Errorf("%s: answered %d, want %d: %s", one, came.status, success, came.body)
			}
		}
	}
	for _, op := range operations(t, withID) {
		shown, _ := document(t).Paths.Find(op.path).Parameters.GetByInAndName("path", "id").Example.(string)
		if came := owner.call(op.method, op.at(shown), op.body()); came.status != http.StatusNotFound {
			t.Errorf("%s with the id of the document: %d: %s", op.id, came.status, came.body)
		}
		made := map[string]func() uuid.UUID{
			"emails":    func() uuid.UUID { return owner.send(email("hello@yourdomain.com")) },
			"domains":   func() uuid.UUID { return owner.register(uuid.NewString() + ".example").ID },
			"api-keys":  func() uuid.UUID { id, _ := owner.insertKey(uuid.NewString(), []string{"emails:send"}, nil); return id },
			"templates": func() uuid.UUID { return owner.createTemplate(uuid.NewString()).ID },
			"webhooks":  func() uuid.UUID { return owner.createWebhook("https://example.com", "email.sent").ID },
		}[strings.Split(op.path, "/")[2]]()
		path := op.at(made.String())
		if strings.Contains(op.path, "{deliveryId}") {
			test := owner.call(http.MethodPost, webhooksPath+"/"+made.String()+"/test", nil).is(http.StatusAccepted)
			path = op.within(made.String(), decoded[api.WebhookDelivery](test).ID.String())
		}
		owner.call(op.method, path, op.body()).is(successOf(op))
	}
}

// successOf returns the one success status of an operation.
func successOf(op operation) int {
	for listed := range op.spec.Responses.Map() {
		if strings.HasPrefix(listed, "2") {
			status, _ := strconv.Atoi(listed)
			return status
		}
	}
	return 0
}

// TestAnswerExamplesHappen makes the server respond with every example of a response in the spec.
//
// The example of a success is true when a real response of that operation is the same: the same members, the same words
// where the spec lists the words, and otherwise the same kinds of values (text, id, time, number, null); in lists, the
// same kinds of items. The example of a problem is true when every operation that shows it responds with that code,
// title and these members, and at least one of them to the letter; ids and times differ.
//
// Examples of 500 are left out: no response may ever be one.
func TestAnswerExamplesHappen(t *testing.T) {
	t.Parallel()
	happened := everyAnswer(t)
	letters, spoken := map[string]bool{}, map[string]bool{}
	for _, one := range examplesOf(document(t)) {
		if one.status == 0 || one.status == http.StatusInternalServerError {
			continue
		}
		same := func(value any) string { return kinds(value, one.schema) }
		if one.status >= http.StatusBadRequest {
			same = outline
			letters[kinds(one.value, nil)] = true
		}
		var came []string
		for _, body := range happened[one.cell] {
			came = append(came, same(body))
			spoken[kinds(body, nil)] = true
		}
		if !slices.Contains(came, same(one.value)) {
			slices.Sort(came)
			t.Errorf("%s never happened:\n%s\nbut\n%s", one, same(one.value), strings.Join(slices.Compact(came), "\n"))
		}
	}
	for letter := range letters {
		if !spoken[letter] {
			t.Errorf("no operation answers this to the letter: %s", letter)
		}
	}
}

// outline returns the part that problems of one code have in common.
func outline(problem any) string {
	members, _ := problem.(map[string]any)
	return fmt.Sprint(members["status"], members["code"], members["type"], members["title"], slices.Sorted(maps.Keys(members)))
}

// kinds returns a value as text, with its ids and times made equal. With a schema, texts and numbers are made equal
// too, except for words that the spec lists, and the items of lists become a set.
func kinds(value any, schema *openapi3.Schema) string {
	encoded, _ := json.Marshal(kindsOf(value, schema))
	return string(encoded)
}

func kindsOf(value any, schema *openapi3.Schema) any {
	switch value := value.(type) {
	case map[string]any:
		same := map[string]any{}
		for name, member := range value {
			same[name] = kindsOf(member, propertyOf(schema, name))
			if name == "requestId" {
				same[name] = "an id"
			}
		}
		return same
	case []any:
		return kindsOfList(value, schema)
	case string:
		if uuid.Validate(value) == nil {
			return "an id"
		}
		if _, err := time.Parse(time.RFC3339, value); err == nil {
			return "a time"
		}
		if schema != nil && schema.Enum == nil {
			return "a text"
		}
	case float64:
		if schema != nil {
			return "a number"
		}
	}
	return value
}

func kindsOfList(list []any, schema *openapi3.Schema) any {
	if schema == nil {
		same := make([]any, len(list))
		for i, item := range list {
			same[i] = kindsOf(item, nil)
		}
		return same
	}
	same := make([]string, len(list))
	for i, item := range list {
		same[i] = kinds(item, schema.Items.Value)
	}
	slices.Sort(same)
	return slices.Compact(same)
}

func propertyOf(schema *openapi3.Schema, name string) *openapi3.Schema {
	if schema == nil || schema.Properties[name] == nil {
		return schema
	}
	return schema.Properties[name].Value
}
