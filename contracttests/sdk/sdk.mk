# make sdk: clients in several languages, made from openapi.yaml, go through contracttests/sdk/scenario.json.

.PHONY: sdk

## sdk: generate clients and run the scenario with each against a server of its own; LANGUAGES="go python" for some
sdk:
	$(GO) run ./contracttests/sdk/run $(LANGUAGES)
