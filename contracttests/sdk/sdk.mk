# make sdk: clients in several languages, generated from openapi.yaml, run contracttests/sdk/scenario.json.

.PHONY: sdk

## sdk: generate clients and run the scenario with each against a server; LANGUAGES="go python" selects some
sdk:
	$(GO) run ./contracttests/sdk/run $(LANGUAGES)
