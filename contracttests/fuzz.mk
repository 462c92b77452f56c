# What parses what comes from outside has a fuzz target beside its tests. `make test` runs their seeds; this looks further.

.PHONY: fuzz generated

FUZZTIME ?= 10s
CHECKS ?= 5000

## fuzz: every fuzz target for FUZZTIME (10s) each, one after another
fuzz:
	@listed=$$($(GO) test -list '^Fuzz' ./...) && \
	targets=$$(echo "$$listed" | awk '/^Fuzz/ { names[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }') && \
	test -n "$$targets" && echo "$$targets" | while read -r package target; do \
		echo "$$package $$target"; \
		$(GO) test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
	done && echo "fuzz: $$(echo "$$targets" | wc -l) targets, $(FUZZTIME) each, no failures"

## generated: requests made from openapi.yaml, CHECKS (5000) for every operation, three times as many for those with a body
generated:
	$(GO) test ./contracttests -run '^TestGeneratedRequests$$' -count=1 -timeout=60m -rapid.checks=$(CHECKS)
