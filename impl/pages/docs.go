package pages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"
)

// docsPolicy restricts the page to its own origin. The viewer starts with an inline script and styles itself.
const docsPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"

// docsHandler serves the API reference as a page. Its copy of the spec names only this server, so that "try it"
// never calls another, and sends from exampleDomain if there is one, so that what it fills in can be sent.
func docsHandler(doc *openapi3.T, exampleDomain string) (http.Handler, error) {
	local := *doc
	local.Servers = openapi3.Servers{{URL: "/", Description: "This server."}}
	document, err := json.Marshal(&local)
	if err != nil {
		return nil, fmt.Errorf("write the API document of the reference page: %w", err)
	}
	if exampleDomain != "" {
		document = bytes.ReplaceAll(document, []byte("@yourdomain.com"), []byte("@"+exampleDomain))
	}
	viewer := v5emb.NewHandlerWithConfig(swgui.Config{
		Title:       doc.Info.Title,
		SwaggerJSON: "/docs/openapi.json",
		BasePath:    "/docs/",
		SettingsUI:  map[string]string{"validatorUrl": "null"},
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/docs/openapi.json", serveDocument("application/json", document))
	mux.Handle("/docs/", viewer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", docsPolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	}), nil
}
