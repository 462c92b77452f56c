package contracttests

import (
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/mail"
)

// address makes an address that is suppressed or not, in upper or lower case.
func (g *generated) address(parameter *openapi3.Parameter) string {
	made := rapid.SampledFrom(locals).Draw(g.drawn, "local") + "@" + uuid.NewString() +
		rapid.SampledFrom([]string{".example", ".b\u00fccher.EXAMPLE"}).Draw(g.drawn, "domain")
	switch choice := rapid.SampledFrom([]string{"absent", "foreign", "malformed", "existing", "existing"}).Draw(g.drawn, parameter.Name); choice {
	case "malformed":
		g.broken(http.StatusBadRequest, "an address that is none")
		return g.world.maker().Formats["mailbox"].Wrong.Filter(func(s string) bool { return s != "" }).Draw(g.drawn, "address")
	case "foreign":
		g.broken(http.StatusNotFound, "an address that another organization suppresses")
		return theirs
	case "existing":
		address, err := mail.ParseAddress(made)
		must(g.world.t, err)
		g.world.suppress(address.Key())
	default:
		g.broken(http.StatusNotFound, "an address that is not suppressed")
	}
	return made
}

func meaningOfSuppressionList(g *generated) (int, string) {
	if g.query.Has("cursor") {
		return http.StatusBadRequest, "a cursor that is not one of the list"
	}
	return 0, ""
}
