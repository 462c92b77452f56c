package main

import "regexp"

// The clients that are generated from both dialects. The dialect ends their names: none for OpenAPI 3.0, or -3.1.

func openapiFetch(dialect, document string) language {
	generate := command{"npx", "--no-install", "openapi-typescript", document, "-o", "src/api.d.ts"}
	return typescript("openapi-fetch", dialect, generate, "--omit=dev")
}

func heyAPI(dialect, document string) language {
	return typescript("hey-api", dialect, command{"npx", "--no-install", "openapi-ts", "-i", document, "-o", "src/api"})
}

func orval(dialect, document string) language {
	return typescript("orval", dialect, command{"env", "DOCUMENT=" + document, "npx", "--no-install", "orval", "--config", "orval.config.mjs"})
}

// typescript returns a runner that is compiled with `tsc --strict` (tsconfig.json) and run by node. Generators that only
// one client needs are development dependencies, so that the others can omit them.
func typescript(client, dialect string, generate command, install ...string) language {
	return language{
		name: "typescript-" + client + dialect, folder: "typescript", tools: []string{"node", "npm", "npx"}, sources: ".ts",
		raw: regexp.MustCompile(`\bfetch\(|XMLHttpRequest|axios|undici|node:https?\b|["']https?["']|[cC]lient(Of\(\w+\))?\.(get|post|put|patch|delete|request)\(|\bimport\(|require\(`),
		prepare: []command{
			append(command{"npm", "ci", "--no-audit", "--no-fund"}, install...),
			generate,
			{"npx", "--no-install", "tsc", "--project", "tsconfig." + client + ".json"},
		},
		run: command{"node", "dist/" + client + ".js"},
	}
}

func python(dialect, document string) language {
	return language{
		name: "python" + dialect, folder: "python", tools: []string{"python3"}, sources: ".py",
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
	}
}

func pythonOpenAPIGenerator(dialect, document string, generator command) language {
	return language{
		name: "python-openapi-generator" + dialect, folder: "python", tools: []string{"java", "mvn", "python3"}, sources: ".py",
		raw: regexp.MustCompile(`httpx|requests|urllib|http\.client|aiohttp|importlib|__import__|call_api|without_preload`),
		prepare: []command{
			generator,
			{"python3", "-m", "venv", "venv"},
			{"./venv/bin/pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt"},
			generate(document, "python", "packageName=mailstack", "--template-dir", "templates-openapi-generator"),
		},
		run: command{"env", "PYTHONPATH=generated", "./venv/bin/python", "openapi_generator.py"},
	}
}

func java(dialect, document string, libraries, generator command) language {
	return language{
		name: "java" + dialect, folder: "java", tools: []string{"java", "javac", "mvn"}, sources: ".java",
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
	}
}

func kotlin(dialect, document string, libraries, generator command) language {
	return language{
		name: "kotlin" + dialect, folder: "kotlin", tools: []string{"java", "mvn"}, sources: ".kt",
		raw: regexp.MustCompile(`java\.net|javax\.net|ok[hH]ttp|HttpClient|URLConnection|RequestConfig|request<|readText|Class\.forName`),
		prepare: []command{
			libraries, generator,
			generate(document, "kotlin", "library=jvm-okhttp4,serializationLibrary=jackson,packageName=com.voostack.mailstack"),
			maven("org.jetbrains.kotlin:kotlin-maven-plugin:compile"),
		},
		run: command{"java", "-cp", "target/classes:lib/*", "RunnerKt"},
	}
}

func ruby(dialect, document string, generator command) language {
	return language{
		name: "ruby" + dialect, folder: "ruby", tools: []string{"java", "mvn", "ruby"}, sources: ".rb",
		raw: regexp.MustCompile(`[nN]et.http|Typhoeus|Ethon|Faraday|open-uri|URI\.|call_api|\bsystem\b|Kernel|IO\.|` + "`"),
		prepare: []command{
			generator,
			// Debian's Typhoeus carries the requests.
			generate(document, "ruby", "gemName=mailstack,moduleName=MailStack", "--template-dir", "templates"),
		},
		run: command{"ruby", "-I", "generated/lib", "runner.rb"},
	}
}

func php(dialect, document string, generator command) language {
	return language{
		name: "php" + dialect, folder: "php", tools: []string{"java", "mvn", "php"}, sources: ".php",
		raw: regexp.MustCompile(`curl_|fopen|fsockopen|stream_|https?:|new Request|Psr7|GuzzleHttp\\|Async|\b(shell_)?exec\b|` + "`"),
		prepare: []command{
			generator,
			// Debian's Guzzle carries the requests.
			generate(document, "php", "invokerPackage=MailStack"),
			// The client refuses a value that an enum does not list, also in responses, which may hold new ones.
			{"sed", "-i", `s/if (!in_array($data, $class::getAllowableEnumValues(), true))/if (false)/`, "generated/lib/ObjectSerializer.php"},
		},
		run: command{"php", "runner.php"},
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
