# Every parser of outside input has a fuzz target beside its tests. `make test` runs the seeds; `make fuzz` searches on.

.PHONY: fuzz generated

FUZZTIME ?= 10s
CHECKS ?= 5000

## fuzz: every fuzz target for FUZZTIME (10s), one after another
fuzz:
	@GO="$(GO)" contracttests/fuzz.sh "$(FUZZTIME)"

## generated: requests made from openapi.yaml, CHECKS (5000) per operation, three times as many for one with a body
generated:
	$(GO) test ./contracttests -run '^TestGeneratedRequests$$' -count=1 -timeout=60m -rapid.checks=$(CHECKS)
