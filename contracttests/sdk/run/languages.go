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
		{
			name: "python", folder: "python", tools: []string{"python3"}, sources: ".py",
			raw: regexp.MustCompile(`httpx|requests|urllib|http\.client|aiohttp|importlib|__import__`),
			prepare: []command{
				{"python3", "-m", "venv", "venv"},
				{"./venv/bin/pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt"},
				{
					"./venv/bin/openapi-python-client", "generate", "--path", document, "--meta", "none", "--output-path", "mailstack",
					"--config", "generator.yaml", "--custom-template-path", "templates", "--fail-on-warning",
				},
				{"./venv/bin/mypy", "--strict", "runner.py"},
			},
			run: command{"./venv/bin/python", "runner.py"},
		},
		{
			name: "python-openapi-generator", folder: "python", tools: []string{"java", "mvn", "python3"}, sources: ".py",
			raw: regexp.MustCompile(`httpx|requests|urllib|http\.client|aiohttp|importlib|__import__|call_api|without_preload`),
			prepare: []command{
				generator,
				{"python3", "-m", "venv", "venv"},
				{"./venv/bin/pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt"},
				generate(document, "python", "packageName=mailstack", "--template-dir", "templates-openapi-generator"),
			},
			run: command{"env", "PYTHONPATH=generated", "./venv/bin/python", "openapi_generator.py"},
		},
		{
			name: "java", folder: "java", tools: []string{"java", "javac", "mvn"}, sources: ".java",
			raw: regexp.MustCompile(`java\.net|javax\.net|HttpClient|HttpRequest|URLConnection|invokeAPI|Class\.forName`),
			prepare: []command{
				libraries, generator,
				// Without the lookup, an event would have to fit exactly one type, but it fits all: members may be
				// absent or additional.
				generate(document, "java", "library=native,useOneOfDiscriminatorLookup=true,invokerPackage=com.voostack.mailstack,"+
					"apiPackage=com.voostack.mailstack.api,modelPackage=com.voostack.mailstack.model"),
				{"javac", "-d", "classes", "-cp", "lib/*", "-sourcepath", "generated/src/main/java", "-Xlint:-options", "src/Runner.java", "src/Steps.java", "src/Webhooks.java"},
			},
			run: command{"java", "-cp", "classes:lib/*", "Runner"},
		},
		{
			name: "kotlin", folder: "kotlin", tools: []string{"java", "mvn"}, sources: ".kt",
			raw: regexp.MustCompile(`java\.net|javax\.net|ok[hH]ttp|HttpClient|URLConnection|RequestConfig|request<|readText|Class\.forName`),
			prepare: []command{
				libraries, generator,
				generate(document, "kotlin", "library=jvm-okhttp4,serializationLibrary=jackson,packageName=com.voostack.mailstack"),
				maven("org.jetbrains.kotlin:kotlin-maven-plugin:compile"),
			},
			run: command{"java", "-cp", "target/classes:lib/*", "RunnerKt"},
		},
		{
			name: "ruby", folder: "ruby", tools: []string{"java", "mvn", "ruby"}, sources: ".rb",
			raw: regexp.MustCompile(`[nN]et.http|Typhoeus|Ethon|Faraday|open-uri|URI\.|call_api|\bsystem\b|Kernel|IO\.|` + "`"),
			prepare: []command{
				generator,
				// Debian's Typhoeus carries the requests.
				generate(document, "ruby", "gemName=mailstack,moduleName=MailStack", "--template-dir", "templates"),
			},
			run: command{"ruby", "-I", "generated/lib", "runner.rb"},
		},
		{
			name: "php", folder: "php", tools: []string{"java", "mvn", "php"}, sources: ".php",
			raw: regexp.MustCompile(`curl_|fopen|fsockopen|stream_|https?:|new Request|Psr7|GuzzleHttp\\|Async|\b(shell_)?exec\b|` + "`"),
			prepare: []command{
				generator,
				// Debian's Guzzle carries the requests.
				generate(document, "php", "invokerPackage=MailStack"),
				// The client refuses a value that an enum does not list, also in responses, which may hold new ones.
				{"sed", "-i", `s/if (!in_array($data, $class::getAllowableEnumValues(), true))/if (false)/`, "generated/lib/ObjectSerializer.php"},
			},
			run: command{"php", "runner.php"},
		},
		rust("", document, generator), rust("-3.1", newer, generator),
		// Of the client's libraries, the default one has a statement that begins with required, which the parser takes for
		// the modifier of C# 11.
		parsed("csharp", ".cs", document, "library=httpclient", generator),
		parsed("dart", ".dart", document, "", generator),
	}
}

// rust returns a runner that is compiled by cargo. What is compiled for all of them is kept in bin/sdk/cargo.
func rust(dialect, document string, generator command) language {
	return language{
		name: "rust" + dialect, folder: "rust", tools: []string{"java", "mvn", "cargo", "rustc"}, sources: ".rs",
		raw: regexp.MustCompile(`reqwest|hyper|std::net|Tcp|std::process|include!|#\[path|extern|unsafe`),
		prepare: []command{
			generator,
			// Without the option, the status of a response is not to be had.
			generate(document, "rust", "packageName=mailstack,supportMultipleResponses=true"),
			// The client has a value for what an enum does not list, but does not decode it; and of the types of events it
			// knows the first about a message and about a domain, and no other.
			{"sh", "-c", `sed -i -e 's/#\[serde(rename = "unknown_default_open_api")\]/#[serde(rename = "unknown_default_open_api", other)]/' ` +
				`-e 's/#\[serde(tag = "type")\]/#[serde(untagged)]/' generated/src/models/*.rs`},
			{"./lock.sh"},
			{"env", "CARGO_BUILD_BUILD_DIR=../cargo", "cargo", "build", "--quiet", "--locked"},
		},
		run: command{"./target/debug/runner"},
	}
}

func openapiFetch(dialect, document string) language {
	return typescript("openapi-fetch", dialect, command{"npx", "--no-install", "openapi-typescript", document, "-o", "src/api.d.ts"})
}

func heyAPI(dialect, document string) language {
	return typescript("hey-api", dialect, command{"npx", "--no-install", "openapi-ts", "-i", document, "-o", "src/api"})
}

func orval(dialect, document string) language {
	return typescript("orval", dialect, command{"env", "DOCUMENT=" + document, "npx", "--no-install", "orval", "--config", "orval.config.mjs"})
}

// typescript returns a runner that is compiled with `tsc --strict` (tsconfig.json) and run by node.
func typescript(client, dialect string, generate command) language {
	return language{
		name: "typescript-" + client + dialect, folder: "typescript", tools: []string{"node", "npm", "npx"}, sources: ".ts",
		raw: regexp.MustCompile(`\bfetch\(|XMLHttpRequest|axios|undici|node:https?\b|["']https?["']|[cC]lient(Of\(\w+\))?\.(get|post|put|patch|delete|request)\(|\bimport\(|require\(`),
		prepare: []command{
			{"npm", "ci", "--no-audit", "--no-fund"},
			generate,
			{"npx", "--no-install", "tsc", "--project", "tsconfig." + client + ".json"},
		},
		run: command{"node", "dist/" + client + ".js"},
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
