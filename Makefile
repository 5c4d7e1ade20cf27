# The commands of the README. Each makes the virtual environment when there is none, or when the pins have changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo up chaos test simulate check bench fuzz clean

help: ## Show these commands
	@grep -E '^[a-z]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(READY) ## Only make .venv, for `.venv/bin/python -m deploy …`

demo: $(READY) ## Run nine jobs the whole way on this machine, with no cloud account
	@$(BIN)/python -m deploy demo

up: $(READY) ## Keep the stack running here, for your own `wandb launch`; Ctrl-C ends it
	@$(BIN)/python -m deploy up

chaos: $(READY) ## Kill functions and let everything around them fail under 1,000 items; audits each of them
	@$(BIN)/python -m deploy chaos

test: $(READY) ## Run all tests
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

SECONDS := 600
simulate: $(READY) ## Let everything go wrong for SECONDS=600, by every fault, pairs of faults and at random
	@$(BIN)/python -m tests.simulation --seconds $(SECONDS)

check: $(READY) ## The whole gate: format, lint, types, imports, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory test

bench: $(READY) ## Measure speed and memory as ratios; writes docs/reference/benchmarks.md
	@$(BIN)/python -m deploy.bench

fuzz: SECONDS := 60
fuzz: TARGET := decoder
fuzz: $(READY) ## Look for inputs that break TARGET=decoder|renderer|launch-config, for SECONDS=60, with atheris
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt || \
	  echo "atheris could not be installed here: it has wheels for some Pythons only"
	@$(BIN)/python -m tests.fuzz.with_atheris $(TARGET) --seconds $(SECONDS)

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@echo "Setting up $(VENV) (once; about half a minute) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
