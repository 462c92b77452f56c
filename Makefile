# Every command of the project; `make help` lists them. CI runs .ci/run, which begins with `make check`.

GO ?= go
TOOLS := $(CURDIR)/bin/tools
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
GENERATOR := $(GO) tool -modfile=gen/tools.mod

.PHONY: run build test check gen drift format vet lint crash fairness fair chaos drills clean help

## run: start everything on this machine; print the URL, an API key and a curl command that sends an email
run: build
	@exec bin/mailstack dev

## build: the binary, bin/mailstack
build:
	@$(GO) build -trimpath -o bin/mailstack .

## test: every test; needs the Postgres binaries and nothing else
test:
	$(GO) test $(TESTFLAGS) ./...

## check: drift, format, vet, lint, the tests with the race detector, and build; CI runs it first
check: drift format vet lint
	$(MAKE) --no-print-directory test TESTFLAGS="-race -count=1 -timeout=25m"
	$(MAKE) --no-print-directory build

## gen: generate the server, types, client and published documents from openapi.yaml, the typed queries from queries/ and schema/
gen:
	@rm -f gen/api/*.gen.go gen/db/*.go
	$(GENERATOR) oapi-codegen -config gen/api/config.yaml openapi.yaml
	$(GO) run ./gen/publish openapi.yaml gen/openapi
	$(GENERATOR) sqlc generate

## drift: fail when gen/ differs from what its sources generate (gen/ is then regenerated), or go.mod is not tidy
drift:
	@before=$$(mktemp -d) && trap 'rm -rf "$$before"' EXIT && cp -R gen "$$before/" && \
	$(MAKE) --no-print-directory gen && \
	if ! diff -r "$$before/gen" gen; then echo "gen/ was stale: it is made anew, commit it" >&2; exit 1; fi
	@$(GO) mod tidy -diff || { echo "go.mod is not tidy: run go mod tidy" >&2; exit 1; }

## format: fail when a file is not formatted (gofumpt)
format: $(GOLANGCI)
	@$(GOLANGCI) fmt --diff

## vet: go vet
vet:
	$(GO) vet ./...

## lint: golangci-lint, as .golangci.yml configures it
lint: $(GOLANGCI)
	$(GOLANGCI) run ./...

$(GOLANGCI):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

## crash: kill -9 a sending dev server, start it again, and account for every message
crash: build
	$(GO) run ./contracttests/crash

## fairness: how long another organization waits behind BACKLOG (20000) messages, at 50 recipients a second
## fair: the same as fairness
BACKLOG ?= 20000
fairness fair:
	BACKLOG=$(BACKLOG) $(GO) test ./impl/worker -count=1 -v -run '^TestAnotherOrganizationIsSentWithinASecond$$'

## chaos: kill and suspend everything at random under load for DURATION (5m), account for every message; SEED=… LOGS=folder
chaos:
	$(GO) run ./contracttests/chaos -duration=$(or $(DURATION),5m) -seed=$(or $(SEED),0) -logs=$(LOGS)

## drills: deploys, a month's end, a failover and the like under load, with figures; PART=a… DURATION=… RATE=60 LOGS=folder
drills:
	$(GO) run ./contracttests/drills -part=$(PART) -duration=$(or $(DURATION),0) -rate=$(or $(RATE),60) -logs=$(LOGS)

## clean: remove bin/
clean:
	rm -rf bin

## help: list every target
help:
	@awk '/^## [a-z-]+: / { name = substr($$2, 1, length($$2) - 1); sub(/^## [a-z-]+: /, ""); printf "%-14s %s\n", name, $$0 }' $(MAKEFILE_LIST)

include contracttests/sdk/sdk.mk
include contracttests/contract.mk
include contracttests/document.mk
include contracttests/fuzz.mk
include contracttests/bench/bench.mk
include contracttests/scale.mk
