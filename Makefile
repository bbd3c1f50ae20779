# Needs Python 3.11 or newer, make, and Node 20 for the browser SDK's tests. Everything else goes into .venv.
VENV := .venv
BIN := $(VENV)/bin
# The system's own Python first: distributions build it with profile-guided optimisation, which is worth a fifth of the CPU.
# `make run PYTHON=python3.13` takes another.
PYTHON = $(or $(firstword $(foreach name,/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(name) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name)))),\
	$(error Consentry needs Python 3.11 or newer, with its venv module))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
BENCH ?= bench/ingest.py

# For `make run`, not a setting that the gateway reads.
unexport CONSENTRY_FLAGS

.PHONY: run test test-python test-node test-slow lint format docs bench

# Start a gateway on http://127.0.0.1:8088; CONSENTRY_FLAGS="--port 9000 --workers 2" passes through. DEMO=100000 makes that many
# events of an example shop at the first start.
run: $(VENV)/.run
ifdef DEMO
	@[ -e consentry.toml ] || { $(BIN)/consentry init && \
		$(BIN)/python -m examples.shop_events --events $(DEMO) | $(BIN)/consentry import -; }
endif
	@$(BIN)/consentry serve $(CONSENTRY_FLAGS)

# Everything that must hold before a change lands.
test: lint test-node test-python

test-python: $(VENV)/.dev tests/clients/node_modules/.package-lock.json
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

ifneq ($(wildcard sdk_js/package.json),)
test-node: sdk_js/node_modules/.package-lock.json
	cd sdk_js && npm test

sdk_js/node_modules/.package-lock.json: sdk_js/package.json sdk_js/package-lock.json
	cd sdk_js && npm ci --no-audit --no-fund
	touch $@
endif

# Client libraries of others, for tests/e2e.
tests/clients/node_modules/.package-lock.json: tests/clients/package.json tests/clients/package-lock.json
	cd tests/clients && npm install --no-save --no-audit --no-fund --ignore-scripts
	touch $@

# The pages of docs/ that are made from the code.
docs: $(VENV)/.dev
	$(BIN)/python scripts/write_docs.py

bench: $(VENV)/.dev
	$(BIN)/python $(BENCH)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: pyproject.toml sdk_python/pyproject.toml | $(BIN)/python
	$(PIP) --editable '.[dev]' --editable 'sdk_python[test]'
	touch $@ $(VENV)/.run
