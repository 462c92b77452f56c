package contracttests

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/contracttests/generate"
	"github.com/voostack/mailstack/gen/api"
)

// A filter that cannot be read must not be ignored.
func TestQueryIsReadWhole(t *testing.T) {
	t.Parallel()
	tenant := newStack(t).newTenant()
	for _, query := range []string{"status=%zz", "tag=a;b", "limit=1&limit=1", "limit=1&limit=2", "tag=a&tag=", "%zz", "Tag=a", "tag[]=a"} {
		tenant.call(http.MethodGet, "/v1/emails?"+query, nil).problem(http.StatusBadRequest, api.ProblemCodeValidationFailed)
	}
	for _, query := range []string{"", "&", "&&limit=1&", "limi%74=1", "tag=%61"} {
		tenant.call(http.MethodGet, "/v1/emails?"+query, nil).is(http.StatusOK)
	}
}

// queryParameter gives a parameter of the query a value, valid or nearly so, or leaves it out.
func (g *generated) queryParameter(parameter *openapi3.Parameter) {
	if g.query == nil {
		g.query = url.Values{}
	}
	if !parameter.Required && rapid.IntRange(0, 2).Draw(g.drawn, "with "+parameter.Name) < 2 {
		return
	}
	schema := parameter.Schema.Value
	value, verdict, what := g.queryValue(schema)
	g.query.Set(parameter.Name, value)
	if verdict != generate.Right {
		g.broken(http.StatusBadRequest, parameter.Name+" "+what)
	}
}

// queryValue makes the text of a query value. A number is text in a query and a string in JSON, so numbers are
// misspelt in ways of their own.
func (g *generated) queryValue(schema *openapi3.Schema) (value string, verdict generate.Verdict, what string) {
	maker := g.world.maker()
	if schema.Type.Is("boolean") {
		return g.queryFlag()
	}
	valid := maker.Valid(schema).Draw(g.drawn, "value")
	if rapid.IntRange(0, 3).Draw(g.drawn, "near") == 3 {
		number := schema.Type.Is("integer") || schema.Type.Is("number")
		if number && rapid.Bool().Draw(g.drawn, "misspelt") {
			misspelt := []string{"x", "-", "0x10", "5 ", " 5", "5,", "true", "null", "\uff15", "5\x00", "99999999999999999999", "1/2", "NaN"}
			return rapid.SampledFrom(misspelt).Draw(g.drawn, "number"), generate.Wrong, "misspelt"
		}
		changed := maker.Changed(schema, valid).Draw(g.drawn, "changed")
		_, isText := changed.Value.(string)
		_, isNumber := changed.Value.(json.Number)
		if isText && !number || isNumber && number {
			valid, verdict, what = changed.Value, changed.Verdict, changed.Changes[0]
		}
	}
	if number, isNumber := valid.(json.Number); isNumber {
		return number.String(), verdict, what
	}
	return valid.(string), verdict, what
}

// queryFlag makes the text of a flag in a query.
func (g *generated) queryFlag() (value string, verdict generate.Verdict, what string) {
	if rapid.IntRange(0, 3).Draw(g.drawn, "near") == 3 {
		misspelt := []string{"1", "0", "TRUE", "True", "yes", "null", "true ", "t", "\uff54rue"}
		return rapid.SampledFrom(misspelt).Draw(g.drawn, "flag"), generate.Wrong, "misspelt"
	}
	return rapid.SampledFrom([]string{"true", "false"}).Draw(g.drawn, "flag"), generate.Right, ""
}

// withQuery evaluates the meaning of the query and writes it.
func (g *generated) withQuery() {
	if meaning := queryMeanings[g.op.id]; meaning != nil && len(g.wrong) == 0 {
		if status, why := meaning(g); status != 0 {
			g.broken(status, why)
		}
	}
	written := g.query.Encode()
	switch rapid.IntRange(0, 11).Draw(g.drawn, "query") {
	case 8:
		written += "&" + rapid.SampledFrom([]string{"x=1", "Limit=1", "id=", "limit[]=1", "%00=%ff", "\u00e9"}).Draw(g.drawn, "unknown")
		g.broken(http.StatusBadRequest, "an unknown parameter")
	case 9:
		written += "&" + rapid.SampledFrom([]string{"limit=%zz", "limit=1;tag=a", "%=1", "tag=%"}).Draw(g.drawn, "malformed")
		g.broken(http.StatusBadRequest, "a malformed query")
	case 10:
		if names := slices.Sorted(maps.Keys(g.query)); len(names) > 0 {
			name := rapid.SampledFrom(names).Draw(g.drawn, "twice")
			written += "&" + url.Values{name: g.query[name]}.Encode()
			g.broken(http.StatusBadRequest, "a parameter twice")
		}
	}
	g.path += "?" + written
}

// queryMeanings predict the response to queries that the schemas allow, by the spec's prose.
var queryMeanings = map[string]func(*generated) (int, string){
	"listEmails": meaningOfEmailList, "listSuppressions": meaningOfSuppressionList, "listTemplates": meaningOfCursor,
	"listTemplateVersions": meaningOfCursor, "listWebhooks": meaningOfCursor, "listWebhookDeliveries": meaningOfCursor,
}

// meaningOfCursor is for lists of which no cursor is known here.
func meaningOfCursor(g *generated) (int, string) {
	if g.query.Has("cursor") {
		return http.StatusBadRequest, "a cursor that is not one of the list"
	}
	return 0, ""
}

// meaningOfEmailList also replaces some cursors made from the schema by a real one of the list.
func meaningOfEmailList(g *generated) (int, string) {
	filters := 0
	for _, name := range []string{"status", "to", "from", "tag"} {
		if g.query.Has(name) {
			filters++
		}
	}
	switch {
	case filters > 1:
		return http.StatusBadRequest, "more than one filter"
	case !g.query.Has("cursor"):
		return 0, ""
	case rapid.Bool().Draw(g.drawn, "foreign cursor"):
		return http.StatusBadRequest, "a cursor that is not one of the list"
	}
	first := maps.Clone(g.query)
	first.Del("cursor")
	first.Set("limit", "1")
	next := g.world.emails(first).NextCursor
	if next == nil {
		g.query.Del("cursor")
		return 0, ""
	}
	changed := rapid.SampledFrom([]string{"", "", "A", "changed"}).Draw(g.drawn, "cursor")
	if changed == "changed" {
		g.query.Set("cursor", "B"+(*next)[1:])
	} else {
		g.query.Set("cursor", *next+changed)
	}
	if changed != "" {
		return http.StatusBadRequest, "a cursor that was altered"
	}
	return 0, ""
}
