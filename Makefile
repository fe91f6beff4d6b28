# ARGS goes to the command: make run ARGS="--port 9000", make test ARGS="-k canvas".
ARGS =
# Without compiled files, each process that a test starts compiles the package anew.
export PYTHONDONTWRITEBYTECODE =
COMPILE = UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/python -m uv pip compile pyproject.toml \
	--universal --generate-hashes --python-version 3.11 -q

.DEFAULT_GOAL := help
.PHONY: help run test test-fast check coverage bench profile conformance schema reference format dist lock clean

help: ## List targets
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' Makefile | awk -F': ' '{ printf "make %-12s %s\n", $$1, $$2 }'

run: ## Start the server, on its embedded PostgreSQL unless LRS_DATABASE_URL is set
	@scripts/venv runtime
	@.venv/bin/lrs serve $(ARGS)

test: ## Run the tests
	@scripts/venv dev
	.venv/bin/python -m pytest -n auto --dist worksteal $(ARGS)

test-fast: ## Run the tests but processes and slow ones, property tests with a tenth of the examples
	@scripts/venv dev
	.venv/bin/python -m pytest -n auto --dist worksteal --ignore tests/process -m 'not slow' \
		--hypothesis-profile fast $(ARGS)

coverage: ## Print line and branch coverage per package, at least 95 % but for cli and server
	@scripts/venv dev
	.venv/bin/python -m pytest -n auto --dist worksteal --cov --cov-report= \
		--hypothesis-profile thorough $(ARGS)
	.venv/bin/python -m scripts.coverage_report

check: ## Check style, format, types and vendored files
	@scripts/venv dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/python -m scripts.vendored

schema: ## Write sql/schema.sql from the migrations
	@scripts/venv dev
	.venv/bin/python -m scripts.schema

reference: ## Write docs/commands.md and docs/modules.md from the code
	@scripts/venv dev
	.venv/bin/python -m scripts.command_reference
	.venv/bin/python -m scripts.module_list

format: ## Format the code
	@scripts/venv dev
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

bench: ## Measure throughput and latency of the server
	@scripts/venv bench
	.venv/bin/python -m scripts.bench $(ARGS)

profile: ## Profile the server under load and print the plans of its queries
	@scripts/venv bench
	.venv/bin/python -m scripts.bench profile $(ARGS)

conformance: ## Run ADL's conformance suite twice per version (SUITE=folder)
	@scripts/venv dev
	.venv/bin/python scripts/conformance $(SUITE) $(ARGS)

dist: ## Build the distributions lrs-server and lrs-client into dist/
	@scripts/venv dev
	rm -rf dist
	.venv/bin/python -m hatchling build -d dist
	cd clients/python && ../../.venv/bin/python -m hatchling build -d ../../dist

lock: ## Resolve the dependencies into the lock files (ARGS=--upgrade for newer versions)
	@scripts/venv dev
	$(COMPILE) $(ARGS) --extra parquet -o requirements.lock
	$(COMPILE) $(ARGS) --extra dev -o requirements-dev.lock
	$(COMPILE) $(ARGS) --extra dev --extra bench -o requirements-bench.lock
	@! grep -n '://' requirements*.lock

clean: ## Remove the virtual environment, caches and build output, but no data
	rm -rf .venv .cache dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
