# Every target makes its own environment in .venv first; none needs root or a server.
# Kept to what GNU make 3.81 (macOS) understands.

RUNTIME ?= scripted
ARGS ?=
BIN := .venv/bin
# an environment for development can also run the demo; one for the demo is quicker to make
RUN := $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.run)

.DEFAULT_GOAL := help
.PHONY: help demo test test-cli bench docs docs-serve lint types contracts check clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(RUN) ## a team of agents at work, with nothing installed (RUNTIME=claude: with the real CLI)
	@$(BIN)/aqm demo --runtime "$(RUNTIME)"
	@echo 'aqm itself is here:           export PATH="$(CURDIR)/$(BIN):$$PATH"'

test: .venv/.dev ## the tests (ARGS="-k gate" for some of them)
	$(BIN)/pytest $(ARGS)

test-cli: .venv/.dev ## the real agent CLIs, from npm, against a stand-in for their vendors
	$(BIN)/python -m tests.cli_real.install
	$(BIN)/pytest -m cli tests/cli_real $(ARGS)

bench: .venv/.dev ## how fast it is on this machine
	$(BIN)/python -m bench $(ARGS)

docs: .venv/.dev ## the format reference, into site/ (open site/index.html)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: .venv/.dev ## the same on http://127.0.0.1:8000, made anew with each change
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --strict

lint: .venv/.dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev ## mypy
	$(BIN)/mypy

contracts: .venv/.dev ## which room may import which
	$(BIN)/lint-imports

check: ## all that a change must pass, as on CI
	bash .ci/run

clean: ## remove the environment and all that was built
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.dev: pyproject.toml .ci/environment
	@sh .ci/environment '.[dev]'
	@touch $@

.venv/.run: pyproject.toml .ci/environment
	@sh .ci/environment .
	@touch $@
