# Needs only Python 3.11 or newer with pip, and make. `make demo` is the place to start.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check bench format clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

demo: $(READY) ## run a small venue from genesis to an explained refusal
	$(BIN)/seawall demo

test: $(READY) ## run all tests on all cores
	$(BIN)/pytest -n auto

check: $(READY) ## style, types, import contract, rule conventions
	$(BIN)/ruff check src tests tools benchmarks
	$(BIN)/ruff format --check src tests tools benchmarks
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports
	$(BIN)/python tools/check_rules.py

bench: $(READY) ## measure rates, memory and recovery up to a million accounts (some minutes)
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/bulk.py
	$(BIN)/python benchmarks/risk.py
	$(BIN)/python benchmarks/service.py

format: $(READY) ## put the code into its standard form
	$(BIN)/ruff check --fix src tests tools benchmarks
	$(BIN)/ruff format src tests tools benchmarks

clean: ## remove the virtual environment and all caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist src/*.egg-info

# The environment: made once, and again when what it is made from changes.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Seawall needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
