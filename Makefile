# ARGS goes to the command: make run ARGS="--port 9000", make test ARGS="-k canvas".
ARGS =
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/python -m uv pip compile pyproject.toml \
	--universal --generate-hashes --python-version 3.11 -q

.DEFAULT_GOAL := help
.PHONY: help run test check bench profile conformance format lock clean

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1: /p' Makefile | awk -F': ' '{ printf "make %-12s %s\n", $$1, $$2 }'

run: ## Start the server, on its embedded PostgreSQL unless LRS_DATABASE_URL is set
	@scripts/venv runtime
	@.venv/bin/lrs serve $(ARGS)

test: ## Run the tests
	@scripts/venv dev
	.venv/bin/python -m pytest $(ARGS)

check: ## Check style and types
	@scripts/venv dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

bench: ## Measure the server beside what this machine allows
	@scripts/venv bench
	.venv/bin/python -m scripts.bench $(ARGS)

profile: ## Show where a request's time goes, and how each query is executed
	@scripts/venv bench
	.venv/bin/python -m scripts.bench profile $(ARGS)

conformance: ## Run ADL's conformance suite, twice for each version (needs SUITE=folder)
	@scripts/venv dev
	.venv/bin/python scripts/conformance $(SUITE) $(ARGS)

format: ## Put the code into its form
	@scripts/venv dev
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

lock: ## Resolve the dependencies again, into the three lock files
	@scripts/venv dev
	$(COMPILE) $(ARGS) --extra parquet -o requirements.lock
	$(COMPILE) $(ARGS) --extra dev -o requirements-dev.lock
	$(COMPILE) $(ARGS) --extra dev --extra bench -o requirements-bench.lock
	@! grep -n '://' requirements*.lock

clean: ## Remove what was made, but not the data
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
