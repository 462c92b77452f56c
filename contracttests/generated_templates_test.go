package contracttests

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/voostack/mailstack/contracttests/generate"
)

// templateAsNew returns the template of the world in its first state, whatever an earlier attempt changed.
func (w *world) templateAsNew() uuid.UUID {
	w.t.Helper()
	w.execute(`DELETE FROM template_versions WHERE template_id = $1 AND version > 1`, w.published)
	w.execute(`UPDATE template_versions SET subject = '', html = $2, text = 'Hi' WHERE template_id = $1`, w.published, "<p>"+placeholder+"</p>")
	w.execute(`UPDATE templates SET name = id::text, latest_version = 1, published_version = NULL WHERE id = $1`, w.published)
	return w.published
}

func meaningOfTemplate(_ *generated, body generate.Object) (int, string) {
	switch {
	case strings.TrimSpace(body.Text("name")) == "":
		return http.StatusBadRequest, "a blank name"
	case body.Text("html") == "" && body.Text("text") == "":
		return http.StatusBadRequest, "neither html nor text"
	}
	return 0, ""
}

// meaningOfEdit predicts the parts that are left of the template. A missing template comes before the meaning.
func meaningOfEdit(g *generated, body generate.Object) (int, string) {
	if slices.Contains(g.wrong, http.StatusNotFound) {
		return 0, ""
	}
	given := func(name string) bool {
		return slices.ContainsFunc(body, func(member generate.Member) bool { return member.Name == name })
	}
	switch {
	case given("name") && strings.TrimSpace(body.Text("name")) == "":
		return http.StatusBadRequest, "a blank name"
	case given("html") && body.Text("html") == "" && given("text") && body.Text("text") == "":
		return http.StatusBadRequest, "nothing left"
	}
	return 0, ""
}

func meaningOfPreview(g *generated, body generate.Object) (int, string) {
	if slices.Contains(g.wrong, http.StatusNotFound) {
		return 0, ""
	}
	if version, given := body.Get("version").(json.Number); given {
		if number, err := version.Float64(); err != nil || number != 1 {
			return http.StatusBadRequest, "a version that there is not"
		}
	}
	variables, _ := body.Get("variables").(generate.Object)
	if why := variablesFault(variables); why != "" {
		return http.StatusBadRequest, why
	}
	switch variables.Get("name").(type) {
	case generate.Object, []any:
		return http.StatusBadRequest, "a variable that cannot be shown"
	}
	return 0, ""
}
