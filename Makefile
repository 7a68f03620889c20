# The two commands for a fresh machine: `make demo` and `make test`. Both make their own environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
QUICK := 'not faults and not repos and not attacks and not clients and not suites and not browser and not harbor and not containers and not wheel'
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check test-faults test-attacks test-repos test-clients test-suites test-browser test-harbor
.PHONY: test-containers test-wheel
.PHONY: bench bench-decision bench-loop bench-suites bench-contrasts bench-soak format clean help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(DEV_STAMP): pyproject.toml $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(STAMP)  ## what autoloop promises, tried live in under 90 seconds, without key or network
	$(BIN)/autoloop demo $(ARGS)

test: $(DEV_STAMP)  ## the whole test suite, under five minutes on two cores
	@# Real processes on a busy machine: what fails beside others must fail alone as well.
	$(BIN)/python -m pytest -n 3 -m $(QUICK) $(ARGS) || \
	  $(BIN)/python -m pytest --last-failed --last-failed-no-failures none -m $(QUICK) $(ARGS)

check: $(DEV_STAMP)  ## ruff, mypy --strict, and the import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py

test-faults: $(DEV_STAMP)  ## 200 kills at random instants under both rules, and injected faults
	$(BIN)/python -m pytest -n 2 -m faults $(ARGS)

AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo "sudo -n")

test-attacks: $(DEV_STAMP)  ## hostile agents and candidates in every sandbox that works here; ATTACKS_TABLE=docs/attacks.md writes the page
	@command -v bwrap >/dev/null || [ "$$(uname)" != Linux ] || \
	  { $(AS_ROOT) apt-get install -qq -y bubblewrap || $(AS_ROOT) dnf install -q -y bubblewrap; } 2>/dev/null || \
	  echo "bubblewrap is not installed and cannot be from here: its tier is left out. Install it: docs/security.md"
	$(BIN)/python -m pytest -n 2 -m attacks tests/attacks $(ARGS)

test-repos: $(DEV_STAMP)  ## strange repositories, built or fetched
	$(BIN)/python -m pytest -m repos -v $(ARGS)

test-suites: $(DEV_STAMP)  ## a public set of 164 exercises, killed and resumed; fetched from PyPI; large reports
	$(BIN)/python -m pytest -m suites -v tests/suites tests/report/test_report.py $(ARGS)

test-containers: $(DEV_STAMP)  ## trials of a suite in real containers; starts an engine of its own where none answers
	@docker info >/dev/null 2>&1 || command -v dockerd >/dev/null || \
	  { $(AS_ROOT) apt-get install -qq -y --no-install-recommends docker.io || \
	    { $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -qq -y --no-install-recommends docker.io; }; } >/dev/null || \
	  echo "no container engine is here, and none can be installed: its tests are skipped"
	$(BIN)/python -m pytest -m containers -rs tests/suites/containers $(ARGS)

CLIENTS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/autoloop-test-clients
PACKAGES := @anthropic-ai/claude-code @openai/codex opencode-ai

test-clients: $(DEV_STAMP)  ## the real coding agents, fetched from npm, against stand-ins for their services
	@test -n "$(AUTOLOOP_TEST_CLIENTS)" || command -v npm >/dev/null || { echo "npm is needed: install Node.js 20 or newer"; exit 1; }
	test -n "$(AUTOLOOP_TEST_CLIENTS)" || npm install --silent --no-fund --no-audit --global --prefix $(CLIENTS) $(PACKAGES)
	AUTOLOOP_TEST_CLIENTS=$(or $(AUTOLOOP_TEST_CLIENTS),$(CLIENTS)) $(BIN)/python -m pytest -n 2 -m clients tests/clients $(ARGS)

test-harbor: $(DEV_STAMP)  ## tasks, rewards and trajectories, held against the package of the format; fetched from PyPI for Python 3.12
	python="$${AUTOLOOP_TEST_HARBOR:-$$($(BIN)/python -m tests.harbor.installing)}" && \
	  AUTOLOOP_TEST_HARBOR="$$python" $(BIN)/python -m pytest -n 2 -rs -m harbor tests/harbor $(ARGS)

test-wheel: $(DEV_STAMP)  ## an sdist, its wheel, and that installed on each Python it is for; PYTHONS="python3.12 ..." names others
	PYTHONS="$(PYTHONS)" $(BIN)/python -m pytest -m wheel -vv -rs --durations=12 --durations-min=5 tests/wheel $(ARGS)

BROWSER := chromium chromium-driver

test-browser: $(DEV_STAMP)  ## the pages in a headless browser, which it installs where it may; SCREENSHOTS=folder keeps pictures
	@command -v chromedriver >/dev/null || { $(AS_ROOT) apt-get install -qq -y $(BROWSER) || \
	  { $(AS_ROOT) apt-get update -qq && $(AS_ROOT) apt-get install -qq -y $(BROWSER); }; } >/dev/null || \
	  { echo "chromium and its driver are not installed and cannot be from here: apt-get install $(BROWSER)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,browser]'
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

bench: $(DEV_STAMP)  ## the loop's own share of an experiment, next to the floor
	$(BIN)/python -m benchmarks.overhead $(ARGS)

bench-decision: $(DEV_STAMP)  ## how the paired test compares with other rules, and the figures that it must reach
	$(BIN)/python -m benchmarks.decision $(ARGS)

bench-loop: $(DEV_STAMP)  ## the real loop on a noisy machine whose truth is known
	$(BIN)/python -m benchmarks.closed_loop $(ARGS)

bench-suites: $(DEV_STAMP)  ## what a trial costs beside its agent, and what workers bring
	$(BIN)/python -m benchmarks.suites $(ARGS)

bench-soak: $(DEV_STAMP)  ## a run of 1,000 experiments, in which nothing may grow
	$(BIN)/python -m benchmarks.soak $(ARGS)

bench-contrasts: $(DEV_STAMP)  ## what the statistics of suites promise, played
	$(BIN)/python -m benchmarks.suite_statistics $(ARGS)

format: $(DEV_STAMP)  ## put the code into its usual shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the environment and caches of tools
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache dist build
