# Checks of the spec as a product, by tools in other languages. They need node with npm, and python3 with venv. Every
# tool is pinned, and installed into and run from folders that git ignores.

PYTHON ?= python3
OASDIFF_VERSION := v1.33.0
OASDIFF := $(TOOLS)/oasdiff-$(OASDIFF_VERSION)
LINTERS := contracttests/lint/node_modules/.package-lock.json
VENV := bin/venv

.PHONY: lint-spec libopenapi dialects breaking changelog released schemathesis boto standins guide browser samples workflows

# The times are on two cores: first with everything installed, then with nothing installed.

# 25 s, 45 s.
## lint-spec: redocly and spectral over the published document in both dialects, zero findings
lint-spec: $(LINTERS)
	@node contracttests/lint/lint.mjs

$(LINTERS): contracttests/lint/package-lock.json
	@command -v npm >/dev/null || { echo "lint-spec needs node with npm" >&2; exit 1; }
	npm ci --prefix contracttests/lint --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# 10 s, more than 6 min. CI does not run it: most of the time is its build, with a module of its own for what it depends on.
## libopenapi: libopenapi-validator accepts the published document in both dialects, and its examples as requests and responses
libopenapi:
	@$(GO) run -C contracttests/lint/libopenapi . $(CURDIR)/gen/openapi/openapi.yaml $(CURDIR)/gen/openapi/openapi-3.1.yaml

# 20 s, 1 min.
## dialects: every schema in OpenAPI 3.0 and 3.1 accepts and refuses the same VALUES (1000)
VALUES ?= 1000
dialects:
	$(GO) test ./gen/publish -count=1 -v -run '^TestDialectsAgree$$' -rapid.checks=$(VALUES)

# 3 s, 1 min. Not the newest oasdiff: v1.34 and v1.35 need a module that the Go proxy does not serve.
## breaking: fail when the published document would break a client of the released spec, or CHANGELOG.md does not tell the difference
breaking: $(OASDIFF)
	@contracttests/breaking/run.sh $(OASDIFF)
	@$(GO) run ./contracttests/changelog -check $(OASDIFF)

## changelog: write into CHANGELOG.md how the published document differs from the released spec
changelog: $(OASDIFF)
	@$(GO) run ./contracttests/changelog $(OASDIFF)

## released: make the published document the released spec, and name its changes VERSION (1.0.0); only as part of a release
VERSION ?= 1.0.0
released: $(OASDIFF)
	@$(GO) run ./contracttests/changelog -release=$(VERSION) $(OASDIFF)
	cp gen/openapi/openapi.yaml contracttests/released.yaml

$(OASDIFF):
	GOBIN=$(TOOLS) $(GO) install github.com/oasdiff/oasdiff@$(OASDIFF_VERSION)
	mv $(TOOLS)/oasdiff $@

# 45 s alone and up to 2 min beside other load, 2 min.
## schemathesis: generated requests for every operation against a server, with every check
schemathesis: build $(VENV)/schemathesis/installed
	@contracttests/with-dev.sh $(VENV)/schemathesis/bin/schemathesis \
		--config-file contracttests/schemathesis/schemathesis.toml run gen/openapi/openapi.yaml

# 5 s, 20 s.
## boto: boto3 drives the simulators of SES, SNS, SQS and STS; every answer is held against AWS's own models
boto: build $(VENV)/boto/installed
	@$(VENV)/boto/bin/python contracttests/boto/drive.py bin/mailstack

# 10 s, 1 min. CI does not run it: what others answer changes with their versions, and those are pinned.
## standins: moto and aws-ses-v2-local get the calls that our simulators get; differences are listed with who is right
standins: build $(VENV)/standins/installed contracttests/standins/node_modules/.package-lock.json
	@$(VENV)/standins/bin/python contracttests/standins/compare.py bin/mailstack contracttests/standins/node_modules/.bin/aws-ses-v2-local

contracttests/standins/node_modules/.package-lock.json: contracttests/standins/package-lock.json
	@command -v npm >/dev/null || { echo "standins needs node with npm" >&2; exit 1; }
	npm ci --prefix contracttests/standins --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

$(VENV)/%/installed: contracttests/%/requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "$* needs $(PYTHON) with venv" >&2; exit 1; }
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-input --require-hashes -r $<
	@touch $@

# 5 s, plus the build of the tests. `make test` runs the example in Go, which needs no other runtime.
## guide: run the receivers that /docs/webhooks shows, in Go, JavaScript and Python
guide:
	$(GO) test -tags runtimes -run '^TestGuide' -count=1 -v ./contracttests

# 1 min.
## browser: every page in Chromium at two widths, light and dark, and every operation of /docs executed; SCREENSHOTS=folder ONLY=path
browser: build contracttests/browser/node_modules/.package-lock.json
	@mkdir -p bin && $(GO) build -o bin/browser ./contracttests/browser
	@contracttests/with-dev.sh bin/browser -axe=contracttests/browser/node_modules/axe-core/axe.min.js -screenshots='$(SCREENSHOTS)' -only='$(ONLY)'

contracttests/browser/node_modules/.package-lock.json: contracttests/browser/package-lock.json
	@command -v npm >/dev/null || { echo "browser needs node with npm" >&2; exit 1; }
	npm ci --prefix contracttests/browser --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# 30 s, 45 s.
## samples: run the samples of the published document against a server, in every language; ONLY=curl,Go selects some
samples: build contracttests/samples/node_modules/.package-lock.json $(VENV)/samples/installed
	@$(GO) build -trimpath -o bin/run-samples ./contracttests/samples
	@contracttests/with-dev.sh bin/run-samples -parser=$(VENV)/samples/bin/python -only='$(ONLY)'

# 20 s, 35 s.
## workflows: lint the Arazzo workflows, and run them against a server
workflows: build $(LINTERS)
	@contracttests/with-dev.sh node contracttests/workflows/run.mjs

contracttests/samples/node_modules/.package-lock.json: contracttests/samples/package-lock.json
	@command -v npm >/dev/null || { echo "samples needs node with npm" >&2; exit 1; }
	npm ci --prefix contracttests/samples --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@
