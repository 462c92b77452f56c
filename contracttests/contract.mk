# The status matrix: every operation with every status that openapi.yaml lists, proven over HTTP.
#
#     make contract                                  every test of contracttests/, then the matrix
#     make contract URL=https://… KEY=ms_live_…      the cells that can be proven from outside, against a deployment
#
# TAGS=runtimes adds the receivers of the guide in other languages, which need their runtimes.
# FROM=… is the address to send from; by default one of a verified domain of the key's organization. KEY defaults to
# MAILSTACK_API_KEY.

.PHONY: contract

URL ?=
KEY ?=
FROM ?=
TAGS ?=

## contract: prove every status that openapi.yaml documents and print the matrix; URL=… KEY=…: against that server
contract:
	@mkdir -p bin && $(GO) test -c -tags "$(TAGS)" -o bin/contract.test ./contracttests
	@cd contracttests && ../bin/contract.test -test.timeout=10m $(if $(URL),-url="$(URL)" -key="$(KEY)" -from="$(FROM)")
