package contracttests

import (
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/contracttests/generate"
	"github.com/voostack/mailstack/gen/api"
)

// withBody makes a body: valid, nearly valid, or not JSON at all. It also declares the body's type, rightly or
// wrongly.
func (g *generated) withBody() {
	kinds := []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\"", " application/json ; x=y"}
	if g.op.spec.RequestBody.Value.Content[mergePatchType] != nil {
		kinds = append(kinds, mergePatchType, "Application/Merge-Patch+JSON; charset=utf-8")
	}
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
			{"Content-Type", "application/json-patch+json"},
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

// value makes a value of the schema or near it. Its meaning is evaluated only when the schema allows it.
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

// list makes an object with a list whose items are judged one by one, and predicts the verdict on each.
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

func (g *generated) judge(came answer) {
	var results []api.SendStatus
	for _, result := range decoded[api.BatchResult](came).Results {
		results = append(results, result.Status)
	}
	if !slices.Equal(results, g.items) {
		g.world.t.Fatalf("%.3000q\nitems are %s, want %s\n%.3000s", *g.body, results, g.items, came.body)
	}
}
