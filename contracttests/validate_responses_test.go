package contracttests

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/spec"
)

// A server that validates its own responses logs those that break the spec, and sends them all the same.
func TestServerValidatesItsAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(health *openapi3.Operation)
		// said is the expected log text; empty means a valid response.
		said string
	}{
		"nothing": {func(*openapi3.Operation) {}, ""},
		"a status": {func(health *openapi3.Operation) {
			health.Responses.Set("202", health.Responses.Value("200"))
			health.Responses.Delete("200")
		}, "status is not supported"},
		"a value": {func(health *openapi3.Operation) {
			content(health).Schema.Value.Properties["status"] = openapi3.NewSchemaRef("", openapi3.NewStringSchema().WithEnum("well"))
		}, "/status breaks enum"},
		"a member too many": {func(health *openapi3.Operation) {
			content(health).Schema = openapi3.NewSchemaRef("", openapi3.NewObjectSchema().WithProperty("health", openapi3.NewStringSchema()))
		}, "/status breaks properties"},
		"a member missing": {func(health *openapi3.Operation) {
			schema := content(health).Schema.Value
			schema.Properties["health"], schema.Required = schema.Properties["status"], []string{"health"}
		}, "/health breaks required"},
		"a header": {func(health *openapi3.Operation) {
			header := &openapi3.Header{Parameter: openapi3.Parameter{Required: true, Schema: openapi3.NewSchemaRef("", openapi3.NewStringSchema())}}
			health.Responses.Value("200").Value.Headers["X-Promised"] = &openapi3.HeaderRef{Value: header}
		}, `X-Promised`},
		"a media type": {func(health *openapi3.Operation) {
			health.Responses.Value("200").Value.Content = openapi3.Content{"text/plain": content(health)}
		}, "Content-Type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := ownDocument(t)
			health := doc.Paths.Value("/healthz").Get
			content(health).Examples = nil
			// The schemas shared with other operations stay as they are.
			own := *content(health).Schema.Value
			own.Properties = maps.Clone(own.Properties)
			content(health).Schema = openapi3.NewSchemaRef("", &own)
			c.change(health)
			document, err := doc.MarshalJSON()
			must(t, err)
			var log bytes.Buffer
			server := watching(t, document, &log)
			recorder := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
			request.Header.Set("X-Request-Id", "exchange-1")
			server.ServeHTTP(recorder, request)
			if recorder.Code != http.StatusOK || recorder.Body.String() != "{\"status\":\"ok\"}\n" {
				t.Errorf("answered %d %s", recorder.Code, recorder.Body)
			}
			if c.said == "" {
				if server.InvalidResponses() != 0 || log.Len() > 0 {
					t.Errorf("counted %d: %s", server.InvalidResponses(), log.String())
				}
				return
			}
			if server.InvalidResponses() != 1 {
				t.Errorf("counted %d", server.InvalidResponses())
			}
			for _, wanted := range []string{c.said, `"operation":"getHealth"`, `"requestId":"exchange-1"`, `"status":200`, `"level":"ERROR"`} {
				if !strings.Contains(log.String(), wanted) {
					t.Errorf("the log does not say %s: %s", wanted, log.String())
				}
			}
			if strings.Contains(log.String(), `{\"status\"`) || strings.Contains(log.String(), "Value") {
				t.Errorf("the log holds the body: %s", log.String())
			}
		})
	}
}

func content(op *openapi3.Operation) *openapi3.MediaType {
	return op.Responses.Value("200").Value.Content["application/json"]
}

func watching(t *testing.T, document []byte, log *bytes.Buffer) *rest.Server {
	t.Helper()
	changed, err := spec.Prepare(document)
	must(t, err)
	server, err := rest.New(rest.Config{
		Spec: changed, Now: time.Now, NewID: uuid.New, Random: rand.Reader, ValidateResponses: true,
		Log: slog.New(slog.NewJSONHandler(log, nil)),
	})
	must(t, err)
	return server
}
