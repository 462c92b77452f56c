package main

import (
	"path/filepath"
	"regexp"
)

const (
	generatorVersion = "7.25.0"
	dependencyPlugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
)

// languages returns every client. Versions are pinned beside the runners: by lock files, pom.xml and
// requirements.txt; Go's client is gen/api, which go.mod pins. Names that end in -3.1 are clients that are generated from
// the document in OpenAPI 3.1, by generators that read it.
func languages(root string) []language {
	document, newer := filepath.Join(root, "gen/openapi/openapi.yaml"), filepath.Join(root, "gen/openapi/openapi-3.1.yaml")
	// The dependencies in pom.xml go into lib, the generator for the JVM languages into generator.
	libraries := maven(dependencyPlugin+":copy-dependencies", "-DoutputDirectory=lib")
	generator := maven(dependencyPlugin+":copy", "-Dartifact=org.openapitools:openapi-generator-cli:"+generatorVersion, "-DoutputDirectory=generator")
	return []language{
		{
			name: "go", folder: "go", tools: []string{"go"}, sources: ".go",
			raw:     regexp.MustCompile(`http\.(Get|Post|Head\b|NewRequest|Client|DefaultClient|Transport)|\.Do\(|WithBody|api\.NewClient\(`),
			prepare: []command{{"go", "build", "-C", root, "-o", filepath.Join(root, "bin/sdk/go/runner"), "./contracttests/sdk/go"}},
			run:     command{"./runner"},
		},
		openapiFetch("", document), openapiFetch("-3.1", newer),
		heyAPI("", document), heyAPI("-3.1", newer),
		orval("", document), orval("-3.1", newer),
		python("", document), python("-3.1", newer),
		pythonOpenAPIGenerator("", document, generator), pythonOpenAPIGenerator("-3.1", newer, generator),
		java("", document, libraries, generator), java("-3.1", newer, libraries, generator),
		kotlin("", document, libraries, generator), kotlin("-3.1", newer, libraries, generator),
		ruby("", document, generator), ruby("-3.1", newer, generator),
		php("", document, generator), php("-3.1", newer, generator),
		rust("", document, generator), rust("-3.1", newer, generator),
		// Of the client's libraries, the default one has a statement that begins with required, which the parser takes for
		// the modifier of C# 11.
		parsed("csharp", ".cs", document, "library=httpclient", generator),
		parsed("dart", ".dart", document, "", generator),
	}
}

func maven(goal string, settings ...string) command {
	return append(command{"mvn", "--quiet", "--batch-mode", "--no-transfer-progress", goal}, settings...)
}

// generate runs openapi-generator, with the option that lets enums take values added later.
func generate(document, language, settings string, options ...string) command {
	return append(command{
		"java", "-jar", "generator/openapi-generator-cli-" + generatorVersion + ".jar", "generate",
		"--generator-name", language, "--input-spec", document, "--output", "generated",
		"--global-property", "apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false",
		"--additional-properties", "enumUnknownDefaultCase=true,hideGenerationTimestamp=true," + settings,
	}, options...)
}
