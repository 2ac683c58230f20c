# Two commands do everything: `make demo` and `make test`. Both make a virtual environment in
# .venv first and may be run again at any time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: help demo test test-all lint bench clean

help:
	@echo "make demo      install, serve, run a small orchestrator, show what happens"
	@echo "make test      install and run the fast tests"
	@echo "make test-all  the slow ones too: kill -9, power cuts, stock Jaeger and Collector"
	@echo "make lint      ruff and mypy"
	@echo "make bench     benchmarks against the stock Jaeger"
	@echo "make clean     remove .venv and what was built"

$(STAMP): pyproject.toml hatch_build.py $(wildcard service/otlp/native/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Spanledger needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "No venv module: on Debian and Ubuntu, apt-get install python3-venv"; rm -rf $(VENV); exit 1; }
	@echo "Installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/spanledger demo

test: $(STAMP)
	$(BIN)/python -m pytest -m 'not slow and not peers'

test-all: $(STAMP)
	$(BIN)/python -m tests.peers
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis service/otlp/*.so
