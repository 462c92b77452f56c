# make sdk: clients in several languages, generated from openapi.yaml, run contracttests/sdk/scenario.json.
# It needs node with npm, python3 with venv, java with maven, ruby with typhoeus, php with guzzle and cargo (1.91); each client is
# generated and built with versions that are pinned beside its runner.

.PHONY: sdk

## sdk: generate clients and run the scenario with each against a server; LANGUAGES="go python" selects some
sdk:
	$(GO) run ./contracttests/sdk/run $(LANGUAGES)
