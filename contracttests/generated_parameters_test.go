package contracttests

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// parameter gives a parameter a value. A new kind of parameter in the spec must be added here.
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

// idempotencyKey sets an unused key or an invalid one, or leaves the header out.
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

// numberParameter fills in a number of the path: 1, which existing resources have, other numbers, and texts that
// are not numbers.
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

// segment writes an id as a part of a path: escaped where necessary, or completely, which is equivalent (RFC 3986
// section 6.2.2.2).
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
