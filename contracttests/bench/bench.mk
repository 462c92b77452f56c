# The server measured beside what bounds it. EACH is the duration of each load. ROWS is the size of the large table in
# bench, LARGE its size in bench-large. ONLY is the one measurement to make, such as deliveries.

.PHONY: bench bench-large

EACH ?= 6s
LARGE ?= 10000000

## bench: accept rate, batches, worker, events, webhooks, memory, a million messages, side by side; also into bin/bench.json
bench:
	@$(GO) build -o bin/bench ./contracttests/bench && exec bin/bench -each $(EACH) -rows $(or $(ROWS),1000000) -only "$(ONLY)"

## bench-large: the accept rate among ten million messages, compared with an empty database
bench-large:
	@$(GO) build -o bin/bench ./contracttests/bench && exec bin/bench -each $(EACH) -large -rows $(LARGE) -json bin/bench-large.json
