# The server measured beside what bounds it. EACH is how long each load lasts, ROWS how large the large table of bench is,
# LARGE that of bench-large.

.PHONY: bench bench-large

EACH ?= 6s
LARGE ?= 10000000

## bench: accept rate, batches, worker, memory, a million messages, side by side; the figures also go to bin/bench.json
bench:
	@$(GO) build -o bin/bench ./contracttests/bench && exec bin/bench -each $(EACH) -rows $(or $(ROWS),1000000)

## bench-large: the accept rate among ten million messages against that among none
bench-large:
	@$(GO) build -o bin/bench ./contracttests/bench && exec bin/bench -each $(EACH) -large -rows $(LARGE) -json bin/bench-large.json
