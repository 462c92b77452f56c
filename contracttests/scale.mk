# Runs with many rows or many messages.
#
#     make scale ROWS=1000000                   lists of a million rows are as fast as lists of 10,000
#     make noisy-neighbours [EACH=10s] [ONLY=…]  what a hostile organization costs a quiet one
#     make snapshot MESSAGES=300000             claims stay fast while a snapshot keeps every dead row
#     make storm MESSAGES=10000 [SEED=…]        10,000 messages, their events in random order, one process killed

.PHONY: scale snapshot storm noisy-neighbours

ROWS ?= 1000000
SEED ?=

# 5 min for 1,000,000 rows, 1 min for 50,000.
## scale: compare the first and the last page of every list, with every filter, among ROWS rows and among 10,000
scale:
	$(GO) run ./contracttests/scale -rows $(ROWS)

# 2 min for 300,000 messages.
## snapshot: MESSAGES due messages worked off while a snapshot is held; the time of their claims
snapshot: MESSAGES ?= 300000
snapshot:
	$(GO) run ./contracttests/snapshot -messages $(MESSAGES)

# At least 70 s, because the leases of a killed process last a minute.
## storm: MESSAGES messages with events in random order and repeated, to two processes, one of which is killed
storm: MESSAGES ?= 10000
storm:
	$(GO) run ./contracttests/event_storm -messages $(MESSAGES) $(if $(SEED),-seed $(SEED))

# 22 attacks, each for EACH and up to 15 s until the quiet organization's webhooks have come.
## noisy-neighbours: latencies of a quiet organization alone, beside each attack and beside all; EACH=10s ONLY=regexp TOGETHER=false
noisy-neighbours:
	$(GO) run ./contracttests/neighbours -each $(or $(EACH),10s) -only '$(ONLY)' -together=$(or $(TOGETHER),true) -logs '$(LOGS)'
