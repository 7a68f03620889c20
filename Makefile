# The two commands for a fresh machine: `make demo` and `make test`. Both make their own environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check test-faults test-repos bench bench-decision bench-loop format clean help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[tuner]'
	touch $@

$(DEV_STAMP): pyproject.toml $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(STAMP)  ## a complete campaign on a shipped example, without key or network
	$(BIN)/autoloop demo

test: $(DEV_STAMP)  ## the whole test suite, under five minutes on two cores
	@# Real processes on a busy machine: what fails beside others must fail alone as well.
	$(BIN)/python -m pytest -n 2 -m 'not faults and not repos' $(ARGS) || \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none -m 'not faults and not repos' $(ARGS)

check: $(DEV_STAMP)  ## ruff, mypy --strict, and the import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py

test-faults: $(DEV_STAMP)  ## 200 kills at random instants
	$(BIN)/python -m pytest -n 2 -m faults $(ARGS)

test-repos: $(DEV_STAMP)  ## strange repositories, built or fetched
	$(BIN)/python -m pytest -m repos -v $(ARGS)

bench: $(DEV_STAMP)  ## the loop's own share of an experiment, next to the floor
	$(BIN)/python -m benchmarks.overhead $(ARGS)

bench-decision: $(DEV_STAMP)  ## how the paired test compares with other rules, and the figures that it must reach
	$(BIN)/python -m benchmarks.decision $(ARGS)

bench-loop: $(DEV_STAMP)  ## the real loop on a noisy machine whose truth is known
	$(BIN)/python -m benchmarks.closed_loop $(ARGS)

format: $(DEV_STAMP)  ## put the code into its usual shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and caches of tools
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist build
