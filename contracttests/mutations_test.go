package contracttests

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// mutation is a change to the spec, the table or a response, with the faults that the judge of the suite then
// finds.
type mutation struct {
	name   string
	judged func() iter.Seq[string]
}

// mutate makes one change after another and runs the judge of the suite again: it must notice each. It returns the
// line for the report.
func mutate(t testing.TB, proof []evidence) string {
	t.Helper()
	// Read another contract, because other tests read the shared one at the same time.
	c, err := readContract()
	must(t, err)
	mutations := slices.Concat(documentMutations(c, proof), tableMutations(c, proof), answerMutations(c, proof))
	caught := 0
	for _, mutation := range mutations {
		noticed := false
		for range mutation.judged() {
			noticed = true
			break
		}
		if noticed {
			caught++
		} else {
			t.Errorf("not noticed: %s", mutation.name)
		}
	}
	// Every change was reverted; otherwise the later ones would prove nothing.
	for fault := range judge(c, c.cells(), proof) {
		t.Errorf("without any mutation: %s", fault)
	}
	return fmt.Sprintf("mutations: %d of %d caught", caught, len(mutations))
}

// documentMutations drop each response from the spec, and add one to each operation.
func documentMutations(c *contract, proof []evidence) []mutation {
	var found []mutation
	for _, op := range operationsOf(c.doc) {
		responses := op.spec.Responses
		for status, response := range responses.Map() {
			found = append(found, mutation{fmt.Sprintf("%s %s dropped from the document", op.id, status), func() iter.Seq[string] {
				return func(yield func(string) bool) {
					responses.Delete(status)
					defer responses.Set(status, response)
					judge(c, c.cells(), proof)(yield)
				}
			}})
		}
		found = append(found, mutation{op.id + " 418 added to the document", func() iter.Seq[string] {
			return func(yield func(string) bool) {
				responses.Set("418", responses.Value("500"))
				defer responses.Delete("418")
				judge(c, c.cells(), proof)(yield)
			}
		}})
	}
	return found
}

// tableMutations drop the rows of each cell.
func tableMutations(c *contract, proof []evidence) []mutation {
	var found []mutation
	cells := c.cells()
	for one := range cells {
		found = append(found, mutation{fmt.Sprintf("%v dropped from the table", one), func() iter.Seq[string] {
			return judge(c, cells, slices.DeleteFunc(slices.Clone(proof), func(e evidence) bool { return e.row.cell() == one }))
		}})
	}
	return found
}

// answerMutations change each recorded response in every way that the spec describes.
func answerMutations(c *contract, proof []evidence) []mutation {
	var found []mutation
	cells, operations := c.cells(), operationsOf(c.doc)
	for i, one := range proof {
		add := func(name string, changed exchange) {
			found = append(found, mutation{one.row.String() + ": " + name, func() iter.Seq[string] {
				// The changed one is judged first: the others are known to be right.
				rest := slices.Concat(proof[:i], proof[i+1:])
				return judge(c, cells, append([]evidence{{one.row, changed}}, rest...))
			}})
		}
		response := responseTo(operations, one)
		for name, changed := range statusMutations(cells, one) {
			add(name, changed)
		}
		for name, changed := range headerMutations(one.seen, response) {
			add(name, changed)
		}
		for name, changed := range bodyMutations(one.seen) {
			add(name, changed)
		}
	}
	return found
}

func responseTo(operations []operation, one evidence) *openapi3.Response {
	for _, op := range operations {
		if op.id == one.row.operation {
			return op.spec.Responses.Status(one.row.status).Value
		}
	}
	return nil
}

// statusMutations change the status to each other status of the operation, which is the hardest to notice.
func statusMutations(cells map[cell]bool, one evidence) iter.Seq2[string, exchange] {
	return func(yield func(string, exchange) bool) {
		for other := range cells {
			if other.operation != one.row.operation || other.status == one.row.status {
				continue
			}
			changed := one.seen
			changed.status = other.status
			if !yield("status rewritten to "+strconv.Itoa(other.status), changed) {
				return
			}
		}
	}
}

// headerMutations leave out required headers, add unlisted ones, and change the content type.
func headerMutations(x exchange, response *openapi3.Response) iter.Seq2[string, exchange] {
	with := func(change func(header http.Header)) exchange {
		changed := x
		changed.header = x.header.Clone()
		change(changed.header)
		return changed
	}
	return func(yield func(string, exchange) bool) {
		for name, header := range response.Headers {
			if _, sent := always[name]; !sent && !header.Value.Required {
				continue
			}
			if !yield("without "+name, with(func(header http.Header) { header.Del(name) })) {
				return
			}
		}
		for _, other := range []string{"text/html", "application/xml"} {
			if !yield("as "+other, with(func(header http.Header) { header.Set("Content-Type", other) })) {
				return
			}
		}
		yield("with a header more", with(func(header http.Header) { header.Set("X-Undocumented", "1") }))
	}
}

// bodyMutations add a member to each object of a body, and give each value another type.
func bodyMutations(x exchange) iter.Seq2[string, exchange] {
	return func(yield func(string, exchange) bool) {
		var body any
		if json.Unmarshal(x.body, &body) != nil {
			return
		}
		alter(body, "", func(pointer string) bool {
			changed := x
			// Values read from JSON always encode.
			changed.body, _ = json.Marshal(body)
			return yield("body changed at "+pointer, changed)
		})
	}
}

// alter walks through a value. It changes one place at a time and calls call while it is changed.
func alter(value any, pointer string, call func(pointer string) bool) bool {
	switch value := value.(type) {
	case map[string]any:
		value["undocumented"] = true
		going := call(pointer + "/undocumented")
		delete(value, "undocumented")
		for _, name := range slices.Sorted(maps.Keys(value)) {
			going = going && alterMember(value[name], pointer+"/"+name, func(other any) { value[name] = other }, call)
		}
		return going
	case []any:
		for i := range value {
			if !alterMember(value[i], fmt.Sprintf("%s/%d", pointer, i), func(other any) { value[i] = other }, call) {
				return false
			}
		}
	}
	return true
}

func alterMember(member any, pointer string, set func(any), call func(pointer string) bool) bool {
	set(map[string]any{"of": "another type"})
	going := call(pointer)
	set(member)
	return going && alter(member, pointer, call)
}
