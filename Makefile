# Two commands do everything: `make demo` and `make test`. Both first make a virtual environment
# in .venv, whatever state it is in, and may be run again at any time.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO_DATA ?= data/demo
# A file's tests stay together, as they share what they started.
ALL_CORES = --numprocesses logical --maxprocesses 8 --dist loadfile

.PHONY: help install demo test test-all lint bench clean

help:
	@echo "make demo      install, serve, run a small orchestrator, show what happens"
	@echo "make test      install and run the fast tests"
	@echo "make test-all  the slow ones too: kill -9, power cuts, Jaeger, Collector, orchestrators"
	@echo "make lint      ruff and mypy"
	@echo "make bench     benchmarks against the stock Jaeger"
	@echo "make clean     remove what was installed and built, and the demo's data"

install:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) here. Spanledger needs \
	Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@"$(PYTHON)" .ci/install.py "$(VENV)"

demo: install
	@"$(BIN)/python" .ci/foreground.py "$(BIN)/spanledger" demo --data "$(DEMO_DATA)"

test: install
	"$(BIN)/python" -m pytest -m 'not slow and not peers and not orchestrators' $(ALL_CORES)

test-all: install
	"$(BIN)/python" -m tests.peers
	"$(BIN)/python" -m tests.orchestrators
	"$(BIN)/python" -m pytest

lint: install
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy"

bench: install
	"$(BIN)/python" -m benchmarks

clean:
	rm -rf "$(VENV)" build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis data/demo
	rm -f events/log/*.so service/otlp/decode/*.so
