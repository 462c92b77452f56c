package contracttests

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/voostack/mailstack/impl/apikey"
	"github.com/voostack/mailstack/impl/rest"
	"github.com/voostack/mailstack/impl/spec"
)

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	doc := ownDocument(t)
	must(t, doc.Validate(context.Background()))
	if doc.OpenAPI != "3.0.3" {
		t.Errorf("OpenAPI %s", doc.OpenAPI)
	}
	var scopes []string
	for _, scope := range doc.Components.Schemas["Scope"].Value.Enum {
		scopes = append(scopes, scope.(string))
	}
	if want := apikey.Scopes(); !slices.Equal(slices.Sorted(slices.Values(scopes)), slices.Sorted(slices.Values(want))) {
		t.Errorf("the document's scopes are %q, the code's %q", scopes, want)
	}
}

func TestOperationsAreDescribed(t *testing.T) {
	t.Parallel()
	doc := document(t)
	var tags []string
	for _, tag := range doc.Tags {
		tags = append(tags, tag.Name)
		if tag.Description == "" {
			t.Errorf("tag %s: no description", tag.Name)
		}
	}
	camelCase := regexp.MustCompile(`^[a-z]+([A-Z][a-z]+)+$`)
	seen := map[string]bool{}
	for _, op := range operations(t) {
		switch {
		case !camelCase.MatchString(op.id) || seen[op.id]:
			t.Errorf("%s %s: operationId %q", op.method, op.path, op.id)
		case len(op.spec.Tags) != 1 || !slices.Contains(tags, op.spec.Tags[0]):
			t.Errorf("%s: tags %q", op.id, op.spec.Tags)
		case op.spec.Summary == "" || op.spec.Description == "":
			t.Errorf("%s: no summary or no description", op.id)
		case op.secured != strings.HasPrefix(op.path, "/v1/"):
			t.Errorf("%s: secured is %v", op.id, op.secured)
		case op.secured != (len(op.scopes) > 0):
			t.Errorf("%s: x-required-scopes %q", op.id, op.scopes)
		case len(apikey.Missing(apikey.Scopes(), op.scopes)) > 0:
			t.Errorf("%s: unknown scopes in %q", op.id, op.scopes)
		case op.spec.RequestBody != nil && (op.limit <= 0 || !op.spec.RequestBody.Value.Required || op.spec.RequestBody.Value.Description == ""):
			t.Errorf("%s: a body without limit or description, or one that is not required", op.id)
		}
		seen[op.id] = true
	}
}

// creates are the operations that can conflict with existing resources, sends the ones that are billed.
var (
	creates = []string{"createDomain", "createApiKey", "createTemplate", "updateTemplate", "createWebhook", "testWebhook", "replayWebhookDelivery"}
	sends   = []string{"sendEmail", "sendBatch"}
)

// successes are the success statuses other than 200.
var successes = map[string]string{
	"sendEmail": "202", "sendBatch": "202", "createDomain": "201", "createApiKey": "201", "deleteDomain": "204", "revokeApiKey": "204",
	"createSuppressions": "201", "deleteSuppression": "204", "createTemplate": "201", "deleteTemplate": "204",
	"createWebhook": "201", "deleteWebhook": "204", "testWebhook": "202", "replayWebhookDelivery": "202",
}

// statuses returns the statuses that an operation must list. They follow from what it is, so that the spec cannot
// promise less by listing less.
func statuses(op operation) []string {
	want := []string{"400", "500"}
	add := func(when bool, statuses ...string) {
		if when {
			want = append(want, statuses...)
		}
	}
	success, found := successes[op.id]
	add(found, success)
	add(!found, "200")
	add(op.secured, "401", "403", "429", "503")
	add(op.spec.RequestBody != nil, "408", "413", "415")
	add(named(op), "404")
	add(slices.Contains(creates, op.id), "409")
	add(slices.Contains(sends, op.id), "402")
	add(idempotent(op), "409", "422")
	add(op.id == "getReadiness", "503")
	slices.Sort(want)
	return slices.Compact(want)
}

func TestOperationsListTheirStatuses(t *testing.T) {
	t.Parallel()
	for _, op := range operations(t) {
		if got, want := slices.Sorted(maps.Keys(op.spec.Responses.Map())), statuses(op); !slices.Equal(got, want) {
			t.Errorf("%s: lists %q, want %q", op.id, got, want)
		}
	}
}

// A POST that creates something takes an idempotency key, and marks a replayed response. API keys are the
// exception, because their secret is never stored.
func TestWhatCreatesIsIdempotent(t *testing.T) {
	t.Parallel()
	for _, op := range operations(t) {
		creates := slices.Contains([]string{"201", "202"}, successes[op.id]) && op.id != "createApiKey" && op.id != "replayWebhookDelivery"
		if creates != idempotent(op) {
			t.Errorf("%s: creates is %t, and takes an idempotency key %t", op.id, creates, idempotent(op))
		}
		for status, response := range op.spec.Responses.Map() {
			if (creates && status < "300") != (response.Value.Headers["Idempotent-Replayed"] != nil) {
				t.Errorf("%s %s: header Idempotent-Replayed", op.id, status)
			}
		}
	}
}

func TestExamplesAreWhatTheyIllustrate(t *testing.T) {
	t.Parallel()
	codes := map[string][]string{}
	for _, op := range operations(t) {
		if op.spec.RequestBody != nil {
			checkExamples(t, op.id+" request", op.spec.RequestBody.Value.Content)
		}
		for status, response := range op.spec.Responses.Map() {
			where := op.id + " " + status
			for name := range always {
				if response.Value.Headers[name] == nil {
					t.Errorf("%s: no %s", where, name)
				}
			}
			if status == "204" {
				if len(response.Value.Content) != 0 {
					t.Errorf("%s: has a body", where)
				}
				continue
			}
			media := checkExamples(t, where, response.Value.Content)
			if status < "400" {
				continue
			}
			if response.Value.Content["application/problem+json"] == nil {
				t.Errorf("%s: is no problem document", where)
			}
			for _, example := range media {
				members := example.(map[string]any)
				code := members["code"].(string)
				if members["status"] != float64(status[0]-'0')*100+float64(status[1]-'0')*10+float64(status[2]-'0') || members["type"] != "/problems/"+code {
					t.Errorf("%s: the example is %v", where, members)
				}
				codes[code] = append(codes[code], where)
			}
			waits := "429 503"
			if idempotent(op) {
				waits += " 409"
			}
			for header, statuses := range map[string]string{"WWW-Authenticate": "401", "Retry-After": waits} {
				if strings.Contains(statuses, status) != (response.Value.Headers[header] != nil) {
					t.Errorf("%s: header %s", where, header)
				}
			}
		}
	}
}

// checkExamples checks examples against their schema and returns them.
func checkExamples(t *testing.T, where string, content openapi3.Content) []any {
	t.Helper()
	var found []any
	if len(content) != 1 && content[mergePatchType] == nil {
		t.Errorf("%s: %d media types", where, len(content))
	}
	for _, media := range content {
		if len(media.Examples) == 0 {
			t.Errorf("%s: no example", where)
		}
		for name, example := range media.Examples {
			if example.Value.Summary == "" {
				t.Errorf("%s: example %s has no summary", where, name)
			}
			if err := media.Schema.Value.VisitJSON(example.Value.Value, openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
				t.Errorf("%s: example %s: %v", where, name, err)
			}
			found = append(found, example.Value.Value)
		}
	}
	return found
}

// walk visits a schema and every schema below it, each with its path.
func walk(path string, schema *openapi3.SchemaRef, visit func(path string, schema *openapi3.Schema)) {
	visit(path, schema.Value)
	for name, property := range schema.Value.Properties {
		walk(path+"."+name, property, visit)
	}
	if schema.Value.Items != nil {
		walk(path+"[]", schema.Value.Items, visit)
	}
}

func TestSchemasAreDescribed(t *testing.T) {
	t.Parallel()
	for name, schema := range document(t).Components.Schemas {
		walk(name, schema, func(path string, schema *openapi3.Schema) {
			if schema.Description == "" && !strings.HasSuffix(path, "[]") {
				t.Errorf("%s: no description", path)
			}
		})
	}
}

// Every request schema is bounded.
func TestRequestSchemasAreBounded(t *testing.T) {
	t.Parallel()
	for _, op := range operations(t, withBody) {
		walk(op.id, op.spec.RequestBody.Value.Content.Get("application/json").Schema, func(path string, schema *openapi3.Schema) {
			switch {
			case schema.Type.Is("string"):
				fixed := schema.Enum != nil || schema.Format == "uuid" || schema.Format == "date-time"
				if !fixed && (schema.MaxLength == nil || schema.Pattern == "") {
					t.Errorf("%s: a string without bounds", path)
				}
			case schema.Type.Is("array"):
				if schema.MaxItems == nil {
					t.Errorf("%s: a list without an end", path)
				}
			case schema.Type.Is("integer"), schema.Type.Is("number"):
				if schema.Min == nil || schema.Max == nil {
					t.Errorf("%s: a number without bounds", path)
				}
				// The generated binding accepts a number as an integer only as long as Go prints it without an
				// exponent.
				if schema.Type.Is("integer") && schema.Max != nil && *schema.Max >= 1e6 {
					t.Errorf("%s: an integer that is not bound from a million on", path)
				}
			case schema.Type.Is("object"):
				if len(schema.Properties) > 0 && (schema.AdditionalProperties.Has == nil || *schema.AdditionalProperties.Has) {
					t.Errorf("%s: takes unknown members", path)
				}
				if len(schema.Properties) == 0 && schema.MaxProps == nil {
					t.Errorf("%s: a map without an end", path)
				}
			case schema.Type.Is("boolean"):
			default:
				t.Errorf("%s: type %v", path, schema.Type)
			}
		})
	}
	for _, path := range document(t).Paths.Map() {
		for _, parameter := range path.Parameters {
			if schema := parameter.Value.Schema.Value; schema.Format != "uuid" && schema.MaxLength == nil && schema.Max == nil {
				t.Errorf("parameter %s: without bounds", parameter.Value.Name)
			}
		}
	}
}

// A response must be able to grow without breaking released clients.
func TestResponseSchemasStayOpen(t *testing.T) {
	t.Parallel()
	for _, op := range operations(t) {
		for status, response := range op.spec.Responses.Map() {
			for _, media := range response.Value.Content {
				walk(op.id+" "+status, media.Schema, func(path string, schema *openapi3.Schema) {
					if has := schema.AdditionalProperties.Has; has != nil && !*has {
						t.Errorf("%s: is closed", path)
					}
					if schema.Enum != nil && !strings.Contains(schema.Description, "ore values may come") {
						t.Errorf("%s: an enum that does not say it may grow", path)
					}
				})
			}
		}
	}
}

// start makes a server from a spec, with nothing behind it.
func start(document string) error {
	read, err := spec.Prepare([]byte(document))
	if err != nil {
		return err
	}
	_, err = rest.New(rest.Config{
		Spec: read, Now: time.Now, NewID: uuid.New, Random: rand.Reader, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	return err
}

// A server whose spec does not fit its code does not start, above all not with an unprotected operation.
func TestServerRefusesABrokenDocument(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../openapi.yaml")
	must(t, err)
	whole := string(source)
	must(t, start(whole))
	for what, broken := range map[string]string{
		"no scopes":       strings.Replace(whole, `      x-required-scopes: ["domains:read"]`+"\n", "", 1),
		"an empty list":   strings.Replace(whole, `x-required-scopes: ["domains:read"]`, `x-required-scopes: []`, 1),
		"no list":         strings.Replace(whole, `x-required-scopes: ["domains:read"]`, `x-required-scopes: domains:read`, 1),
		"null":            strings.Replace(whole, `x-required-scopes: ["domains:read"]`, `x-required-scopes: null`, 1),
		"unknown scope":   strings.Replace(whole, `x-required-scopes: ["domains:read"]`, `x-required-scopes: ["domains:all"]`, 1),
		"no body limit":   strings.Replace(whole, "      x-max-body-bytes: 10485760\n", "", 1),
		"unknown text":    strings.Replace(whole, "x-text: header", "x-text: headers", 1),
		"no operationId":  strings.Replace(whole, "      operationId: listDomains\n", "", 1),
		"another id":      strings.Replace(whole, "operationId: listDomains", "operationId: readDomains", 1),
		"a new operation": strings.Replace(whole, "  /healthz:\n", "  /v1/new:\n    get:\n      operationId: getNew\n      x-required-scopes: [\"domains:read\"]\n      responses:\n        \"200\":\n          description: New.\n\n  /healthz:\n", 1),
		"not YAML":        "{",
		"empty":           "",
		"one less":        strings.Replace(whole, "  /readyz:\n    get:", "  /readyz:\n    x-get:", 1),
		"another path":    strings.Replace(whole, "  /v1/domains:\n", "  /v1/names:\n", 1),
	} {
		if broken == whole {
			t.Errorf("%s: the document was not changed", what)
		} else if start(broken) == nil {
			t.Errorf("%s: the server started", what)
		}
	}
}
