# The project's commands. Each sets up the virtual environment first, if there is none or if the pins have changed.
PYTHON ?= python3
VENV := .venv
# -E ignores the shell's PYTHON* variables, which may be meant for another Python. -X utf8 ignores the locale.
RUN := "$(VENV)/bin/python" -E -X utf8
ARGS :=

.DEFAULT_GOAL := help
.PHONY: help ready setup demo up chaos test long simulate upgrade-test quick check pins reference bench bench-agent screenshot fuzz mutate clean
# Also with `make -j`, one command runs at a time: they share the virtual environment and the terminal.
.NOTPARALLEL:

help: ## Show these commands
	@grep -E '^[a-z-]+:.*## ' Makefile | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ready ## Install vertex-launch and all packages into .venv

demo: ready ## Run nine jobs the whole way on this machine
	@exec $(RUN) -m deploy demo $(ARGS)

up: ready ## Keep the stack running for your own `wandb launch`
	@exec $(RUN) -m deploy up $(ARGS)

chaos: ready ## Launch 1,000 items while services fail; audit each one
	@exec $(RUN) -m tests.chaos $(ARGS)

PYTEST := $(RUN) -m pytest -n 6 --dist loadfile --no-loadscope-reorder
test: ready ## Run the tests; about eight minutes on two cores
	@exec $(PYTEST) -m "not long" $(ARGS)

long: ready ## Run the tests that repeat a rule at full size, for minutes
	@exec $(PYTEST) -m long $(ARGS)

FROM :=
upgrade-test: ready ## Replace the functions of FROM=COMMIT one after another; audit each item
	@exec $(RUN) -m tests.upgrade $(if $(FROM),--from $(FROM)) $(ARGS)

SECONDS := 600
simulate: ready ## Run the functions in a simulated world of faults
	@$(RUN) -m tests.simulation --seconds $(SECONDS)

# Its tests wait more than they compute, so six share two cores.
quick: ready ## Check a change: format, lint, types, imports, fast tests
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	"$(VENV)/bin/lint-imports"
	@exec $(RUN) -m pytest -q -n 6 tests/unit tests/contract -m "not slow" $(ARGS)

check: ready ## Run the whole gate: format, lint, types, audits, all tests, a sample of mutants
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	"$(VENV)/bin/lint-imports"
	$(RUN) -m bandit --quiet --recursive --configfile pyproject.toml functions shared deploy main.py
	$(RUN) -m tests.advisories
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory long
	@$(MAKE) --no-print-directory mutate ARGS="--sample 60 --again --seconds 600 --floor 0.85"

pins: ready ## Renew hashes of packages and digests of images
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-pins.txt
	@$(RUN) -m deploy.local.pins $(ARGS)

reference: ready ## Write the generated parts of docs/ from the code
	@$(RUN) -m deploy.reference $(ARGS)

bench: ready ## Measure speed and memory; writes docs/reference/benchmarks.md
	@$(RUN) -m tests.bench

screenshot: ready ## Run the demo's jobs, and take the README's pictures of the board
	@$(RUN) -m tests.screenshot $(ARGS)

bench-agent: ready ## Measure beside the real `wandb launch-agent`; 25 minutes
	@$(RUN) -m tests.bench.agent $(ARGS)

fuzz: SECONDS := 60
fuzz: TARGET := decoder
fuzz: ready ## Search inputs that break TARGET=decoder|renderer|launch-config
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.txt || \
	  echo "atheris could not be installed here: it has wheels for some Pythons only"
	@$(RUN) -m tests.fuzz.with_atheris $(TARGET) --seconds $(SECONDS)

mutate: ready ## Plant mistakes; count those that the tests notice
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-mutate.txt
	@exec $(RUN) -m tests.mutation $(ARGS)

clean: ## Remove the virtual environment and caches
	rm -rf "$(VENV)" .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants

ready:
	@sh deploy/local/setup.sh "$(PYTHON)" "$(VENV)"
