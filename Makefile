# The commands of the README. Each makes the virtual environment if there is none, or if the pins have changed.
PYTHON ?= python3
VENV := .venv
# Nothing of the shell's that is meant for another Python, and UTF-8 whatever the locale is.
RUN := "$(VENV)/bin/python" -E -X utf8
ARGS :=

.DEFAULT_GOAL := help
.PHONY: help ready setup demo up chaos test simulate quick check reference bench fuzz clean
# `make -j` runs commands one after the other too: they share the virtual environment and the terminal.
.NOTPARALLEL:

help: ## Show these commands
	@grep -E '^[a-z]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: ready ## Only make .venv, for `.venv/bin/python -m deploy …`

demo: ready ## Run nine jobs the whole way on this machine, with no cloud account
	@exec $(RUN) -m deploy demo $(ARGS)

up: ready ## Keep the stack running here, for your own `wandb launch`; Ctrl-C ends it
	@exec $(RUN) -m deploy up $(ARGS)

chaos: ready ## Kill functions and let everything around them fail under 1,000 items; audits each of them
	@exec $(RUN) -m tests.chaos $(ARGS)

test: ready ## Run all tests
	@exec $(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

SECONDS := 600
simulate: ready ## Let everything go wrong for SECONDS=600, by every fault, pairs of faults and at random
	@$(RUN) -m tests.simulation --seconds $(SECONDS)

quick: ready ## What to run after each change: format, lint, types, import rules, unit tests, contract tests on fakes
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	"$(VENV)/bin/lint-imports"
	@exec $(RUN) -m pytest -q -n 2 tests/unit tests/contract -m "not slow" $(ARGS)

check: ready ## The whole gate: format, lint, types, imports, tests
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	"$(VENV)/bin/lint-imports"
	@$(MAKE) --no-print-directory test

reference: ready ## Write the generated blocks of docs/ from the code
	@$(RUN) -m deploy.reference $(ARGS)

bench: ready ## Measure speed and memory as ratios; writes docs/reference/benchmarks.md
	@$(RUN) -m tests.bench

fuzz: SECONDS := 60
fuzz: TARGET := decoder
fuzz: ready ## Look for inputs that break TARGET=decoder|renderer|launch-config, for SECONDS=60, with atheris
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt || \
	  echo "atheris could not be installed here: it has wheels for some Pythons only"
	@$(RUN) -m tests.fuzz.with_atheris $(TARGET) --seconds $(SECONDS)

clean: ## Remove the virtual environment and caches
	rm -rf "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

ready:
	@sh deploy/local/setup.sh "$(PYTHON)" "$(VENV)"
