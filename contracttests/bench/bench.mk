# The server measured beside what bounds it. EACH is the duration of each load. ROWS is the size of the large table in
# bench, LARGE its size in bench-large.

.PHONY: bench bench-large

EACH ?= 6s
LARGE ?= 10000000

## bench: accept rate, batches, worker, memory, a million messages, side by side; the figures also go to bin/bench.json
bench:
	@$(GO) build -o bin/bench ./contracttests/bench && exec bin/bench -each $(EACH) -rows $(or $(ROWS),1000000)

## bench-large: the accept rate among ten million messages, compared with an empty database
bench-large:
	@$(GO) build -o bin/bench ./contracttests/bench && exec bin/bench -each $(EACH) -large -rows $(LARGE) -json bin/bench-large.json
