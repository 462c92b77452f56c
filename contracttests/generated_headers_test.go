package contracttests

import (
	"net/http"
	"strings"

	"pgregory.net/rapid"
)

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

// harmless adds headers that must not matter, and sometimes a query to an operation that takes none.
func (g *generated) harmless() {
	name := rapid.SampledFrom([]string{"X-Request-Id", "Accept", "Cookie", "X-Http-Method-Override", "Range", "If-None-Match", "Origin"}).
		Draw(g.drawn, "header")
	g.header.Set(name, rapid.SampledFrom([]string{"", "x", "*", "DELETE", "text/html", "bytes=0-1", strings.Repeat("x", 4000), "\u00e9"}).
		Draw(g.drawn, "value"))
	if g.query == nil {
		query := rapid.SampledFrom([]string{"", "?", "?x=1", "?id=x&id=y", "?%00=%ff", "?a[]=;&b=%zz"}).Draw(g.drawn, "query")
		g.path += query
		if len(query) > 1 {
			g.broken(http.StatusBadRequest, "a query where there is none")
		}
	}
	if g.op.limit == 0 && g.op.method != http.MethodGet {
		body := rapid.SampledFrom([]string{"", "{}", "{", "\x00", "null"}).Draw(g.drawn, "body")
		g.body = &body
	}
}
