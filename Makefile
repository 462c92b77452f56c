# Every command of the project. CI calls `make check`.

GO ?= go
TOOLS := $(CURDIR)/bin/tools
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
GENERATOR := $(GO) tool -modfile=gen/tools.mod

.PHONY: run build test check gen drift format lint vet crash fairness fair clean

## run: start everything on this machine and print what to paste
run: build
	@exec bin/mailstack dev

## build: the binary, into bin/
build:
	@$(GO) build -trimpath -o bin/mailstack .

## test: every test; needs the Postgres binaries and nothing else
test:
	$(GO) test $(TESTFLAGS) ./...

## check: what CI runs
check: drift format vet lint
	$(MAKE) --no-print-directory test TESTFLAGS="-race -count=1 -timeout=15m"
	$(MAKE) --no-print-directory build

## gen: the server, types and client from openapi.yaml, the typed queries from queries/ and schema/
gen:
	@rm -f gen/api/*.gen.go gen/db/*.go
	$(GENERATOR) oapi-codegen -config gen/api/config.yaml openapi.yaml
	$(GENERATOR) sqlc generate

## drift: fail when gen/ or go.mod is not what its sources make it
drift:
	@before=$$(mktemp -d) && trap 'rm -rf "$$before"' EXIT && cp -R gen "$$before/" && \
	$(MAKE) --no-print-directory gen && \
	if ! diff -r "$$before/gen" gen; then echo "gen/ was stale: it is made anew, commit it" >&2; exit 1; fi
	@$(GO) mod tidy -diff || { echo "go.mod is not tidy: run go mod tidy" >&2; exit 1; }

## format: fail when a file is not formatted (gofumpt)
format: $(GOLANGCI)
	@$(GOLANGCI) fmt --diff

vet:
	$(GO) vet ./...

lint: $(GOLANGCI)
	$(GOLANGCI) run ./...

$(GOLANGCI):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

## crash: kill -9 a sending dev server, start it again, and account for every message
crash: build
	$(GO) run ./contracttests/crash

## fairness: how long another organization waits behind a backlog, at 50 recipients a second
BACKLOG ?= 20000
fairness fair:
	BACKLOG=$(BACKLOG) $(GO) test ./impl/worker -count=1 -v -run '^TestAnotherOrganizationIsSentWithinASecond$$'

## chaos: kill everything at random under load for DURATION (5m), and account for every message; SEED repeats the faults, LOGS keeps the logs in a folder
chaos:
	$(GO) run ./contracttests/chaos -duration=$(or $(DURATION),5m) -seed=$(or $(SEED),0) -logs=$(LOGS)

clean:
	rm -rf bin

include contracttests/sdk/sdk.mk
include contracttests/contract.mk
include contracttests/document.mk
include contracttests/fuzz.mk
include contracttests/bench/bench.mk
include contracttests/scale.mk
