package contracttests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/gen/api"
)

// judged decodes the response to a batch and fails the test unless it is consistent: one result per item, in order,
// each queued with an id or rejected with its reason, and counted.
func judged(came answer, items int) api.BatchResult {
	came.t.Helper()
	found := decoded[api.BatchResult](came.is(http.StatusAccepted))
	queued := 0
	for i, result := range found.Results {
		isQueued := result.Status == api.SendStatusQueued
		if isQueued {
			queued++
		}
		if result.Index != i || isQueued != (result.ID != nil) || isQueued != (result.Error == nil) ||
			isQueued != (result.Code == nil) || isQueued && len(result.Errors) > 0 {
			came.t.Errorf("result %d is %+v", i, result)
		}
	}
	if len(found.Results) != items || found.Accepted != queued || found.Rejected != items-queued {
		came.t.Errorf("%d items, %d queued, answered %s", items, queued, came.body)
	}
	return found
}

func batchOf(items ...any) map[string]any { return map[string]any{"emails": items} }

// TestBatchIsManySingles sends every shape of message that a single send accepts.
func TestBatchIsManySingles(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	var items []any
	var recipients int64
	shapes := acceptedShapes(from)
	for _, shape := range shapes {
		items = append(items, shape.request)
		recipients += shape.recipients()
	}
	came := tenant.sends(int64(len(items)), recipients, batchPath, batchOf(items...))
	for i, result := range judged(came, len(items)).Results {
		if result.ID == nil {
			t.Fatalf("%s: %+v", shapes[i].name, result)
		}
		found := tenant.read(*result.ID)
		same(t, shapes[i].name, found, shapes[i].expect(from, api.EmailStatusQueued, found))
		html, text := tenant.content(*result.ID)
		if received := shapes[i].received; html != received.HTML || text != received.Text {
			t.Errorf("%s: content is %q, %q", shapes[i].name, html, text)
		}
	}
}

func TestBatchEnvelope(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	one := asText(t, email(from))
	hundred := repeated(email(from), 100)
	for name, wrong := range map[string]struct {
		body    any
		pointer string
	}{
		"empty":             {`{"emails":[]}`, "/emails"},
		"101":               {batchOf(repeated(email(from), 101)...), "/emails"},
		"101 of any kind":   {`{"emails":[` + strings.Repeat("null,", 100) + `null]}`, "/emails"},
		"null":              {`{"emails":null}`, "/emails"},
		"an object":         {`{"emails":{"0":` + one + `}}`, "/emails"},
		"text":              {`{"emails":"x"}`, "/emails"},
		"absent":            {`{}`, "/emails"},
		"a list":            {`[` + one + `]`, ""},
		"a single":          {one, ""},
		"unknown member":    {`{"emails":[` + one + `],"from":"a@b.test"}`, "/from"},
		"in another case":   {`{"Emails":[` + one + `]}`, ""},
		"a misspelt member": {`{"emails":[` + one + `],"emials":[]}`, "/emials"},
	} {
		came := tenant.refused(batchPath, wrong.body)
		found := came.problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
		if wrong.pointer != "" && !slices.Equal(pointers(found), []string{wrong.pointer}) {
			t.Errorf("%s names %q: %s", name, pointers(found), came.body)
		}
	}
	if found := judged(tenant.sends(100, 100, batchPath, batchOf(hundred...)), 100); found.Accepted != 100 {
		t.Errorf("of a hundred %d were accepted", found.Accepted)
	}
}

// TestBatchItemsAreJudgedAlone mixes good items with items of every kind of fault.
func TestBatchItemsAreJudgedAlone(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	tenant.suppress("gone@example.com")
	good := email(from)
	items := []any{
		5, good, nil,
		[]any{},
		"x", true,
		map[string]any{},
		good, email(from, "to", "a@b"), email(from, "sujbect", "x"),
		email("a@elsewhere.test"), email(from, "cc", "gone@example.com"), email(from, "text", "{{a}}", "variables", values{}),
		email(from, "Subject", "x"), email(from, "to", addresses(51)),
		[]any{good},
		batchOf(good), good,
	}
	found := judged(tenant.sends(3, 3, batchPath, batchOf(items...)), len(items))
	for i, result := range found.Results {
		_, isObject := items[i].(map[string]any)
		if queued := result.Status == api.SendStatusQueued; queued != (i == 1 || i == 7 || i == 17) {
			t.Errorf("item %d is %+v", i, result)
		}
		for _, wrong := range result.Errors {
			if strings.HasPrefix(wrong.Pointer, "/emails/") || !isObject && wrong.Pointer != "" {
				t.Errorf("item %d names %q", i, wrong.Pointer)
			}
		}
	}
	if named := pointers(api.Problem{Errors: found.Results[9].Errors}); !slices.Equal(named, []string{"/sujbect"}) {
		t.Errorf("names %q", named)
	}
	all := items[8:17]
	if rejected := judged(tenant.refused(batchPath, batchOf(all...)), len(all)); rejected.Accepted != 0 {
		t.Errorf("answered %+v", rejected)
	}
}

// TestBatchItemTooLarge rejects an item over 10 MiB and no other.
func TestBatchItemTooLarge(t *testing.T) {
	t.Parallel()
	tenant, from := newStack(t).newSender()
	const limit = 10 << 20
	small := asText(t, email(from))
	over := `{"emails":[` + small + `, ` + filled(from, limit+1) + ` ,` + small + `]}`
	found := judged(tenant.sends(2, 2, batchPath, over), 3)
	if code := found.Results[1].Code; code == nil || *code != api.ProblemCodePayloadTooLarge {
		t.Errorf("the large item is %+v", found.Results[1])
	}
	exact := `{"emails":[` + small + `,` + filled(from, limit) + `]}`
	if found := judged(tenant.sends(2, 2, batchPath, exact), 2); found.Accepted != 2 {
		t.Errorf("an item of the limit is %+v", found.Results[1])
	}
	// A batch of exactly the limit, filled by two items.
	rest := (20 << 20) - limit - len(`{"emails":[,]}`)
	full := `{"emails":[` + filled(from, limit) + `,` + filled(from, rest) + `]}`
	if found := judged(tenant.sends(2, 2, batchPath, full), 2); found.Accepted != 2 {
		t.Errorf("a batch of the limit is %+v", found)
	}
	tenant.refused(batchPath, full+" ").problem(http.StatusRequestEntityTooLarge, api.ProblemCodePayloadTooLarge)
}

// TestBatchProperties checks the rules of batches for every combination of good and bad items.
func TestBatchProperties(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	tenant, from := s.newSender()
	tenant.suppress("gone@example.com")
	tenant.setBilling(true, nil, 0, 40)
	kinds := []func(i int) (any, int64){
		func(i int) (any, int64) { return email(from, "subject", fmt.Sprint("item ", i)), 1 },
		func(i int) (any, int64) {
			return email(from, "subject", fmt.Sprint("item ", i), "to", addresses(1+i%9), "bcc", "b@example.com"), int64(2 + i%9)
		},
		func(int) (any, int64) { return email(from, "to", "gone@example.com"), 0 },
		func(int) (any, int64) { return email("a@elsewhere.test"), 0 },
		func(int) (any, int64) { return email(from, "unknown", 1), 0 },
		func(int) (any, int64) { return json.RawMessage("null"), 0 },
		func(int) (any, int64) { return email(from, "text", "{{a}}", "variables", values{}), 0 },
	}
	rapid.Check(t, func(r *rapid.T) {
		var items []any
		var expected []int64
		var messages, recipients int64
		for i, kind := range rapid.SliceOfN(rapid.IntRange(0, len(kinds)-1), 1, 25).Draw(r, "kinds") {
			item, counted := kinds[kind](i)
			items, expected = append(items, item), append(expected, counted)
			recipients += counted
			messages += min(counted, 1)
		}
		used := tenant.usage().EmailsSent
		found := judged(tenant.sends(messages, recipients, batchPath, batchOf(items...)), len(items))
		for i, result := range found.Results {
			if (result.Status == api.SendStatusQueued) != (expected[i] > 0) {
				r.Fatalf("item %d (%v) is %+v", i, items[i], result)
			}
			if result.ID == nil {
				continue
			}
			read := tenant.read(*result.ID)
			if read.Subject != fmt.Sprint("item ", i) || int64(len(read.Recipients)) != expected[i] {
				r.Fatalf("item %d became %+v", i, read)
			}
		}
		if now := tenant.usage().EmailsSent; now != used+recipients {
			r.Fatalf("usage went from %d to %d with %d recipients", used, now, recipients)
		}
	})
}
