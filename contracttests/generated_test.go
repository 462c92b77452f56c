package contracttests

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/contracttests/generate"
	"github.com/voostack/mailstack/gen/api"
)

// TestGeneratedRequests makes requests for every operation out of the document: valid ones, nearly valid ones, ones with
// something wrong around their bodies. Each must be answered with the very status that how it was made asks for, and
// every answer is held against the document. A round is as many requests as -rapid.checks says, 100 if it says nothing.
func TestGeneratedRequests(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, op := range operations(t) {
		t.Run(op.id, func(t *testing.T) {
			t.Parallel()
			world := newWorld(s.in(t))
			parameters := slices.Concat(document(t).Paths.Find(op.path).Parameters, op.spec.Parameters)
			rounds := 1
			if op.limit > 0 {
				rounds = 3
			}
			for range rounds {
				rapid.Check(t, func(drawn *rapid.T) { world.in(attempt{t, drawn}).request(drawn, op, parameters).send() })
			}
		})
	}
}

// attempt is one check of rapid as the harness knows tests: what fails in it is drawn anew, smaller.
type attempt struct {
	testing.TB
	drawn *rapid.T
}

func (a attempt) Helper()                           { a.drawn.Helper() }
func (a attempt) Error(args ...any)                 { a.drawn.Error(args...) }
func (a attempt) Errorf(format string, args ...any) { a.drawn.Errorf(format, args...) }
func (a attempt) Fatal(args ...any)                 { a.drawn.Fatal(args...) }
func (a attempt) Fatalf(format string, args ...any) { a.drawn.Fatalf(format, args...) }

// generated is a request on its way to be made.
type generated struct {
	world  *world
	drawn  *rapid.T
	op     operation
	path   string
	header http.Header
	body   *string
	// query is nil for operations that have no parameters in it.
	query url.Values
	// wrong are the statuses that what is wrong with it asks for, and why are the reasons.
	wrong []int
	why   []string
	// items is what becomes of each item of a list whose items are judged one by one.
	items []api.SendStatus
}

func (w *world) request(drawn *rapid.T, op operation, parameters openapi3.Parameters) *generated {
	made := &generated{world: w, drawn: drawn, op: op, path: op.path, header: http.Header{}}
	made.header.Set("Authorization", "Bearer "+w.key)
	for _, parameter := range parameters {
		made.parameter(parameter.Value)
	}
	if op.secured && rapid.IntRange(0, 11).Draw(drawn, "authorization") == 10 {
		made.authorization()
	}
	if rapid.IntRange(0, 5).Draw(drawn, "headers") == 5 {
		made.harmless()
	}
	if made.query != nil {
		made.withQuery()
	}
	if op.limit > 0 {
		made.withBody()
	}
	return made
}

// broken notes what is wrong.
func (g *generated) broken(status int, why string) {
	g.wrong, g.why = append(g.wrong, status), append(g.why, why)
}

// parameter gives a parameter a value. Other kinds are to be made here as soon as the document has one.
func (g *generated) parameter(parameter *openapi3.Parameter) {
	if parameter.In == openapi3.ParameterInQuery {
		g.queryParameter(parameter)
		return
	}
	if parameter.Name == "Idempotency-Key" {
		g.idempotencyKey()
		return
	}
	if parameter.In == openapi3.ParameterInPath && parameter.Schema.Value.Format == "mailbox" {
		g.path = strings.ReplaceAll(g.path, "{"+parameter.Name+"}", g.segment(g.address(parameter)))
		return
	}
	if parameter.In == openapi3.ParameterInPath && parameter.Schema.Value.Type.Is("integer") {
		g.numberParameter(parameter)
		return
	}
	if parameter.In != openapi3.ParameterInPath || parameter.Schema.Value.Format != "uuid" {
		g.world.t.Fatalf("%s: parameter %s in %s is of a kind that is not made yet", g.op.id, parameter.Name, parameter.In)
	}
	choices := []string{"absent", "foreign", "malformed"}
	if g.world.existing[g.op.id] != nil {
		choices = append(choices, "existing", "existing", "upper case")
	}
	var id string
	switch choice := rapid.SampledFrom(choices).Draw(g.drawn, parameter.Name); choice {
	case "absent":
		id = anyUUID().Draw(g.drawn, "id")
		g.broken(http.StatusNotFound, "an id that nothing has")
	case "foreign":
		id = rapid.SampledFrom(g.world.foreign).Draw(g.drawn, "id").String()
		g.broken(http.StatusNotFound, "another organization's id")
	case "malformed":
		id = notUUID().Filter(func(s string) bool { return s != "" }).Draw(g.drawn, "id")
		g.broken(http.StatusBadRequest, "an id that is none")
	case "existing":
		id = g.world.existing[g.op.id](g.world).String()
	case "upper case":
		id = strings.ToUpper(g.world.existing[g.op.id](g.world).String())
	}
	g.path = strings.ReplaceAll(g.path, "{"+parameter.Name+"}", g.segment(id))
}

// idempotencyKey names a key that nothing came with before, or none that the document describes, or leaves it out.
func (g *generated) idempotencyKey() {
	switch rapid.IntRange(0, 8).Draw(g.drawn, "idempotency key") {
	case 6, 7:
		visible := rapid.StringMatching(`[!-~]{0,219}`).Draw(g.drawn, "key")
		g.header.Set("Idempotency-Key", visible+uuid.NewString())
	case 8:
		g.header.Set("Idempotency-Key", rapid.SampledFrom([]string{
			"", "two words", "tab\tinside", "\u00e9", "\xff", strings.Repeat("k", 256), strings.Repeat("k", 5000),
		}).Draw(g.drawn, "key"))
		g.broken(http.StatusBadRequest, "an idempotency key that is none")
	}
}

// numberParameter fills in a number of the path: 1, which what exists has, others, and what is none.
func (g *generated) numberParameter(parameter *openapi3.Parameter) {
	var number string
	switch rapid.SampledFrom([]string{"first", "first", "absent", "malformed"}).Draw(g.drawn, parameter.Name) {
	case "first":
		number = "1"
	case "absent":
		number = strconv.Itoa(rapid.IntRange(2, int(*parameter.Schema.Value.Max)).Draw(g.drawn, "number"))
		g.broken(http.StatusNotFound, "a number that nothing has")
	case "malformed":
		number = rapid.SampledFrom([]string{
			"0", "-1", "x", "1.5", "1.0", "1e0", "0x1", " 1", "1 ", "\uff11", "null", "2147483648", strings.Repeat("9", 400), "\x00", "\xff",
		}).Draw(g.drawn, "number")
		g.broken(http.StatusBadRequest, "a number that is none")
	}
	g.path = strings.ReplaceAll(g.path, "{"+parameter.Name+"}", g.segment(number))
}

// segment writes an id as a part of a path: escaped where it has to be, or wholly, which is the same (RFC 3986 section
// 6.2.2.2).
func (g *generated) segment(id string) string {
	if rapid.IntRange(0, 5).Draw(g.drawn, "escaped") < 5 {
		return url.PathEscape(id)
	}
	var out strings.Builder
	for _, b := range []byte(id) {
		fmt.Fprintf(&out, "%%%02x", b)
	}
	return out.String()
}

func (g *generated) authorization() {
	key := g.world.key
	if rapid.Bool().Draw(g.drawn, "usable") {
		g.header.Set("Authorization", rapid.SampledFrom([]string{"bearer ", "BEARER ", "beaReR "}).Draw(g.drawn, "scheme")+key)
		return
	}
	values := rapid.SampledFrom([][]string{
		{},
		{""},
		{key},
		{"Bearer"},
		{"Bearer "},
		{"Bearer  " + key},
		{"Basic " + key},
		{"Bearer " + key + "x"},
		{"Bearer " + key[:len(key)-1]},
		{"Bearer " + strings.ToUpper(key)},
		{"Bearer " + strings.Replace(key, "live", "test", 1)},
		{"Bearer " + key, "Bearer " + key},
		{"Bearer " + key, "Bearer x"},
		{"Bearer " + key + ", Bearer " + key},
		{"Bearer \u00e9\U0001f389"},
		{"Bearer " + strings.Repeat("x", 5000)},
		{"Bearer " + g.world.revoked},
	}).Draw(g.drawn, "credentials")
	g.header["Authorization"] = values
	g.broken(http.StatusUnauthorized, "no usable key")
}

// harmless adds what must not matter.
func (g *generated) harmless() {
	name := rapid.SampledFrom([]string{"X-Request-Id", "Accept", "Cookie", "X-Http-Method-Override", "Range", "If-None-Match", "Origin"}).
		Draw(g.drawn, "header")
	g.header.Set(name, rapid.SampledFrom([]string{"", "x", "*", "DELETE", "text/html", "bytes=0-1", strings.Repeat("x", 4000), "\u00e9"}).
		Draw(g.drawn, "value"))
	if g.query == nil {
		g.path += rapid.SampledFrom([]string{"", "?", "?x=1", "?id=x&id=y", "?%00=%ff", "?a[]=;&b=%zz"}).Draw(g.drawn, "query")
	}
	if g.op.limit == 0 && g.op.method != http.MethodGet {
		body := rapid.SampledFrom([]string{"", "{}", "{", "\x00", "null"}).Draw(g.drawn, "body")
		g.body = &body
	}
}

// withBody makes a body: valid, nearly valid, or no document at all; and declares it, rightly or not.
func (g *generated) withBody() {
	kinds := []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\"", " application/json ; x=y"}
	g.header.Set("Content-Type", rapid.SampledFrom(kinds).Draw(g.drawn, "type"))
	if rapid.IntRange(0, 15).Draw(g.drawn, "declared") == 14 {
		wrong := rapid.SampledFrom([][2]string{
			{"Content-Type", ""},
			{"Content-Type", "text/plain"},
			{"Content-Type", "application/x-www-form-urlencoded"},
			{"Content-Type", "multipart/form-data; boundary=x"},
			{"Content-Type", "application/json; charset=utf-16"},
			{"Content-Type", "application/json, application/json"},
			{"Content-Type", "application/json;;"},
			{"Content-Type", "application/merge-patch+json"},
			{"Content-Encoding", "gzip"},
			{"Content-Encoding", "identity, br"},
		}).Draw(g.drawn, "undeclared")
		g.header.Set(wrong[0], wrong[1])
		g.broken(http.StatusUnsupportedMediaType, "not declared as JSON")
	}
	schema := g.op.spec.RequestBody.Value.Content.Get("application/json").Schema.Value
	value := g.value(schema)
	text := generate.Write(value, generate.Style{
		Escaped: rapid.IntRange(0, 3).Draw(g.drawn, "escaped") == 3, Spaced: rapid.IntRange(0, 3).Draw(g.drawn, "spaced") == 3,
	})
	if rapid.IntRange(0, 7).Draw(g.drawn, "damaged") == 6 && strings.HasPrefix(strings.TrimSpace(text), "{") {
		damage := generate.Damaged(text).Draw(g.drawn, "damage")
		text = damage.Text
		g.broken(http.StatusBadRequest, damage.What)
	}
	g.body = &text
}

// value is a value of the schema or near it. What it means is asked only when it may mean something.
func (g *generated) value(schema *openapi3.Schema) any {
	maker := g.world.maker()
	for name, member := range schema.Properties {
		if member.Value.Extensions["x-validate-items"] != nil {
			return g.list(maker, schema, name)
		}
	}
	made := near(g.drawn, maker, schema)
	if made.Verdict != generate.Right {
		g.broken(http.StatusBadRequest, strings.Join(made.Changes, ", "))
		return made.Value
	}
	if object, isObject := made.Value.(generate.Object); isObject && meanings[g.op.id] != nil {
		status, why := meanings[g.op.id](g, object)
		if status != 0 {
			g.broken(status, why)
		}
	}
	return made.Value
}

func near(drawn *rapid.T, maker generate.Maker, schema *openapi3.Schema) generate.Case {
	if !rapid.Bool().Draw(drawn, "near") {
		return generate.Case{Value: maker.Valid(schema).Draw(drawn, "value")}
	}
	return maker.Near(schema).Draw(drawn, "near")
}

// list makes an object with a list whose items are judged one by one, and foresees the verdict on each.
func (g *generated) list(maker generate.Maker, schema *openapi3.Schema, name string) any {
	list := schema.Properties[name].Value
	items := make([]any, rapid.SampledFrom([]int{1, 2, 3, 4, 5, 100, 0, 101}).Draw(g.drawn, "items"))
	for i := range items {
		// A long list repeats one item.
		if i > 5 {
			items[i] = items[5]
			g.items = append(g.items, g.items[5])
			continue
		}
		made := near(g.drawn, maker, list.Items.Value)
		items[i] = made.Value
		status := api.SendStatusQueued
		if made.Verdict == generate.Malformed {
			g.broken(http.StatusBadRequest, "an item is malformed: "+strings.Join(made.Changes, ", "))
		} else if object, isObject := made.Value.(generate.Object); made.Verdict == generate.Wrong || !isObject {
			status = api.SendStatusRejected
		} else if wrong, _ := meanings["sendEmail"](g, object); wrong != 0 {
			status = api.SendStatusRejected
		}
		g.items = append(g.items, status)
	}
	if len(items) < int(list.MinItems) || len(items) > int(*list.MaxItems) {
		g.broken(http.StatusBadRequest, "a list too short or too long")
	}
	envelope := generate.Object{{Name: name, Value: items}}
	if rapid.IntRange(0, 5).Draw(g.drawn, "envelope") < 5 {
		return envelope
	}
	changed := maker.Changed(schema, envelope).Draw(g.drawn, "changed")
	if changed.Verdict != generate.Right {
		g.broken(http.StatusBadRequest, strings.Join(changed.Changes, ", "))
	}
	return changed.Value
}

// want is the status: of what is wrong the first that the contract's order of checks comes to.
func (g *generated) want() int {
	for _, status := range []int{401, 415, 413, 400, 404, 403, 409} {
		if slices.Contains(g.wrong, status) {
			return status
		}
	}
	return success(g.world.t, g.op)
}

// success is the one status of the document that says that it was done.
func success(t testing.TB, op operation) int {
	for _, status := range []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent} {
		if op.spec.Responses.Status(status) != nil {
			return status
		}
	}
	t.Fatalf("%s: nothing says success", op.id)
	return 0
}

func (g *generated) send() {
	t := g.world.t
	var body any
	sent := "no body"
	if g.body != nil {
		body, sent = *g.body, *g.body
	}
	request, err := http.NewRequestWithContext(t.Context(), g.op.method, g.world.url+g.path, reader(t, body))
	must(t, err)
	request.Header = g.header
	came := g.world.do(request)
	if want := g.want(); came.status != want {
		t.Fatalf("%s %s %q\n%.3000q\nanswered %d, want %d, because of %q\n%.3000s",
			g.op.method, g.path, g.header, sent, came.status, want, g.why, came.body)
	}
	if came.status == http.StatusAccepted && g.items != nil {
		g.judge(came)
	}
	if came.status == http.StatusCreated && g.op.id != "createSuppressions" {
		// What stays would reach the limits of the organization.
		g.world.call(http.MethodDelete, came.header.Get("Location"), nil).is(http.StatusNoContent)
	}
}

func (g *generated) judge(came answer) {
	var results []api.SendStatus
	for _, result := range decoded[api.BatchResult](came).Results {
		results = append(results, result.Status)
	}
	if !slices.Equal(results, g.items) {
		g.world.t.Fatalf("%.3000q\nitems are %s, want %s\n%.3000s", *g.body, results, g.items, came.body)
	}
}

func anyUUID() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var id uuid.UUID
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		return rapid.SampledFrom([]string{
			id.String(), strings.ToUpper(id.String()), uuid.NewSHA1(id, id[:]).String(), uuid.Nil.String(), uuid.Max.String(),
		}).Draw(t, "uuid")
	})
}

func notUUID() *rapid.Generator[string] {
	const id = "0197b2c4-5a10-7cc3-9d4e-1f0a2b3c4d5e"
	return rapid.SampledFrom([]string{
		"", "x", "0", "null", "undefined", "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""), id + "0", id[1:], " " + id,
		id + " ", id + "\n", id + "\x00", "g" + id[1:], strings.ReplaceAll(id, "-", "_"), strings.ReplaceAll(id, "-", "\u2010"), id + "/",
		"../" + id, id[:35] + "\uff11", strings.Repeat("0", 36), "-1", "*", "%", "\xff", strings.Repeat("x", 2000), "' OR 1=1 --",
	})
}
