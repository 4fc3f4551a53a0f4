# Dutyline: the verbs. `make` lists them. Everything works as an ordinary user; what only root can add is named when it
# is missing (and added, when make runs as root).
SHELL  := /bin/bash
PYTHON ?= $(firstword $(foreach name,python3 python3.11 python3.12 python3.13 python3.14,$(shell \
            $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
VENV   := .venv/bin
# Set-up is stale when its stamp was made elsewhere, or the command has gone.
STALE  := $(if $(and $(wildcard $(VENV)/dutyline),$(findstring :$(CURDIR):,:$(file <.setup-done):)),,again)

# $(call debian,packages): adds Debian packages when run as root, else says what to run and fails.
debian = { if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
           apt-get install -y -qq --no-install-recommends $(1); \
           else echo "missing; as root run: apt-get install -y $(1)" >&2; false; fi; }

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench faults live clean browser again

help: ## list the verbs
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .setup-done ## set everything up: .venv, the telephone engine, the phones of the demo city

.setup-done: pyproject.toml $(STALE)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; or name it: make setup PYTHON=/path/to/python" >&2; false; }
	@$(VENV)/python -m pip --version >/dev/null 2>&1 || { { $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || $(call debian,$(notdir $(PYTHON))-venv); } && $(PYTHON) -m venv --clear .venv; }
	@echo "installing the Python packages ..."
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(VENV)/dutyline engine fetch
	@printf '%s' "$(CURDIR)" > $@

run: setup ## play the demo city and print the address of its console
	@exec $(VENV)/dutyline demo

test: setup browser ## run every test
	@$(VENV)/python -m pytest -q -rs

check: setup ## lint, type-check, house rules, generated documentation
	@$(VENV)/python -m ruff check .
	@$(VENV)/python -m ruff format --check .
	@$(VENV)/python -m mypy
	@$(VENV)/python -m pytest -q tests/house
	@$(VENV)/python -m gateway.docs check

bench: setup ## measure against a bare Asterisk and print the ratios
	@$(VENV)/python -m tests.bench

faults: setup ## run the live tests in which something breaks
	@$(VENV)/python -m pytest -q -rs -m live -k fault

live: setup ## run the tests that need the engine and real phones
	@$(VENV)/python -m pytest -q -rs -m live

clean: ## remove what set-up made here; data in var/ and the engine in ~/.cache/dutyline stay
	@rm -rf .venv .setup-done build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

browser:
	@{ { type -P chromium || type -P google-chrome; } && type -P chromedriver; } >/dev/null \
	  || $(call debian,chromium chromium-driver) || echo "no Chromium: the browser tests will be reported as not run" >&2
