# What parses what comes from outside has a fuzz target beside its tests. `make test` runs their seeds; this looks further.

.PHONY: fuzz generated

FUZZTIME ?= 10s
CHECKS ?= 5000

## fuzz: every fuzz target for FUZZTIME (10s), one after another
fuzz:
	@GO="$(GO)" contracttests/fuzz.sh "$(FUZZTIME)"

## generated: requests made from openapi.yaml, CHECKS (5000) for every operation, three times as many for those with a body
generated:
	$(GO) test ./contracttests -run '^TestGeneratedRequests$$' -count=1 -timeout=60m -rapid.checks=$(CHECKS)
