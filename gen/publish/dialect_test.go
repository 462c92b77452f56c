package main

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

func TestSchemaInTheNewerDialect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ older, newer string }{
		{`type: string`, `type: string`},
		{`{type: string, nullable: true}`, `{type: [string, "null"]}`},
		{`{type: string, nullable: false}`, `{type: string}`},
		{`{nullable: true, description: Anything}`, `{description: Anything}`},
		{`{type: string, nullable: true, enum: [a]}`, `{type: [string, "null"], enum: [a, null]}`},
		{`{type: string, nullable: true, enum: [null, a]}`, `{type: [string, "null"], enum: [null, a]}`},
		{`{type: string, enum: [a]}`, `{type: string, const: a}`},
		{`{type: string, enum: [a, b]}`, `{type: string, enum: [a, b]}`},
		{
			`{nullable: true, description: One, allOf: [{$ref: "#/a"}], x-a: 1}`,
			`{description: One, x-a: 1, anyOf: [{allOf: [{$ref: "#/a"}]}, {type: "null"}]}`,
		},
		{
			`{type: object, nullable: true, oneOf: [{$ref: "#/a"}], discriminator: {propertyName: type}}`,
			`{anyOf: [{type: object, oneOf: [{$ref: "#/a"}], discriminator: {propertyName: type}}, {type: "null"}]}`,
		},
		{`{minimum: 1, exclusiveMinimum: true}`, `{exclusiveMinimum: 1}`},
		{`{maximum: 9, exclusiveMaximum: true, minimum: 0, exclusiveMinimum: false}`, `{exclusiveMaximum: 9, minimum: 0}`},
		{`{type: string, example: null}`, `{type: string, examples: [null]}`},
		{`{type: string, format: byte}`, `{type: string, contentEncoding: base64}`},
		{`{type: string, format: binary}`, `{type: string, contentMediaType: application/octet-stream}`},
		{`{$ref: "#/a", nullable: true, description: Ignored}`, `{$ref: "#/a"}`},
		// Below a schema, and where names are data.
		{
			`{properties: {nullable: {type: string, nullable: true}, enum: {type: string}}, additionalProperties: {type: string, nullable: true}}`,
			`{properties: {nullable: {type: [string, "null"]}, enum: {type: string}}, additionalProperties: {type: [string, "null"]}}`,
		},
		{`{additionalProperties: false, items: {type: string, enum: [a]}}`, `{additionalProperties: false, items: {type: string, const: a}}`},
		{`{not: {anyOf: [{type: string, nullable: true}]}}`, `{not: {anyOf: [{type: [string, "null"]}]}}`},
		{`{example: {nullable: true, type: string}}`, `{examples: [{nullable: true, type: string}]}`},
		{`{default: {nullable: true}, x-hint: {nullable: true}}`, `{default: {nullable: true}, x-hint: {nullable: true}}`},
	} {
		schema := parsed(t, test.older)
		if err := (converter{parts: parts()}).convert(schema, "schema"); err != nil {
			t.Fatal(err)
		}
		if got, want := plain(t, schema), plain(t, parsed(t, test.newer)); got != want {
			t.Errorf("%s is now %s, want %s", test.older, got, want)
		}
	}
}

func parsed(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return document.Content[0]
}

func plain(t *testing.T, node *yaml.Node) string {
	t.Helper()
	written, err := yaml.Marshal(node)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := plainJSON(written)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

const older = `openapi: 3.0.3
info: {title: A, version: "1", license: {name: MIT, url: https://example.com}}
paths:
  /a:
    # A path item has members of all kinds.
    parameters:
      - {name: a, in: query, schema: {type: string, nullable: true, example: x}, example: "null"}
    post:
      x-codeSamples: [{lang: Shell, source: "curl"}]
      externalDocs: {url: "https://example.com"}
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/A"}
            example: {nullable: true}
            encoding: {a: {headers: {A: {schema: {type: string, nullable: true}}}}}
      callbacks:
        happened:
          "{$request.body#/url}":
            post:
              requestBody: {content: {application/json: {schema: {type: string, nullable: true}}}}
              responses: {"200": {description: Taken.}}
      responses:
        "200":
          description: Yes.
          headers: {B: {schema: {type: integer, minimum: 0, exclusiveMinimum: true}}}
          content: {application/json: {schema: {type: array, items: {type: string, enum: [a]}}}}
          links: {next: {operationId: b, parameters: {id: $response.body#/id}}}
components:
  schemas: {A: {type: object, nullable: true}}
  parameters: {P: {name: p, in: query, content: {application/json: {schema: {type: string, nullable: true}}}}}
  headers: {H: {schema: {type: string, nullable: true}}}
  responses: {R: {description: R., content: {text/plain: {schema: {type: string, nullable: true}}}}}
  requestBodies: {Q: {content: {text/plain: {schema: {type: string, nullable: true}}}}}
`

const newest = `openapi: 3.1.1
jsonSchemaDialect: https://spec.openapis.org/oas/3.1/dialect/base
info: {title: A, version: "1", license: {name: MIT, identifier: MIT}}
paths:
  /a:
    # A path item has members of all kinds.
    parameters:
      - {name: a, in: query, schema: {type: [string, "null"], examples: [x]}, example: "null"}
    post:
      x-codeSamples: [{lang: Shell, source: "curl"}]
      externalDocs: {url: "https://example.com"}
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/A"}
            example: {nullable: true}
            encoding: {a: {headers: {A: {schema: {type: [string, "null"]}}}}}
      responses:
        "200":
          description: Yes.
          headers: {B: {schema: {type: integer, exclusiveMinimum: 0}}}
          content: {application/json: {schema: {type: array, items: {type: string, const: a}}}}
          links: {next: {operationId: b, parameters: {id: $response.body#/id}}}
webhooks:
  happened:
    post:
      requestBody: {content: {application/json: {schema: {type: [string, "null"]}}}}
      responses: {"200": {description: Taken.}}
components:
  schemas: {A: {type: [object, "null"]}}
  parameters: {P: {name: p, in: query, content: {application/json: {schema: {type: [string, "null"]}}}}}
  headers: {H: {schema: {type: [string, "null"]}}}
  responses: {R: {description: R., content: {text/plain: {schema: {type: [string, "null"]}}}}}
  requestBodies: {Q: {content: {text/plain: {schema: {type: [string, "null"]}}}}}
`

func TestDocumentInTheNewerDialect(t *testing.T) {
	t.Parallel()
	got, _, err := newer([]byte(older))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != newest {
		t.Errorf("got\n%s\nwant\n%s", got, newest)
	}
}

func TestCallbacksThatAreNoWebhooks(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		strings.Replace(older, `          "{$request.body#/url}":`, "          a: {}\n          b:", 1),
		strings.Replace(older, "components:\n", `  /b:
    post:
      callbacks: {happened: {a: {}}}
components:
`, 1),
		strings.Replace(older, `          "{$request.body#/url}":`, `          $ref: "#/components/callbacks/a"
        other:
          a:`, 1),
	} {
		if _, _, err := newer([]byte(document)); err == nil {
			t.Errorf("no error for\n%s", document)
		}
	}
}
