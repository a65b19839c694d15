# `make demo` shows the main job, `make test` checks everything. Each sets up what it needs.

# The first Python that both environments can use (TensorFlow 2.21 has wheels up to 3.13).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
ORACLE := .venv-oracle
BIN := $(VENV)/bin
# What the tests need to run at all.
SUITE := pytest pytest-timeout sybil
STAMPS := .stamps
TFJS := .tfjs
BROWSER := .browser
HUB := .venv-hub
STORES := .venv-stores
PIP := -m pip install --quiet --disable-pip-version-check
JOBS ?= 2
# Of the order in which tests run; a failing run says which it had.
SEED ?= $(shell date +%s)

export KERAS_BACKEND ?= jax
export JAX_PLATFORMS ?= cpu
export TF_CPP_MIN_LOG_LEVEL ?= 3

# An environment that a stopped run left without pip is made again.
define make-venv
mkdir -p $(STAMPS); \
test -n "$(PYTHON)" || { echo "Hozon's checks need Python 3.11, 3.12 or 3.13" >&2; exit 1; }; \
$(1)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(1)
endef

.PHONY: demo test stress torture flips fuzz versions hub stores lint package bench differential docs protos \
	opdefs handled clean

demo: $(STAMPS)/demo
	@$(BIN)/python examples/demo.py

test: $(STAMPS)/dev $(STAMPS)/oracle $(STAMPS)/tfjs $(STAMPS)/browser
	$(BIN)/python -m pytest -n $(JOBS) --shuffle=$(SEED) -q $(ARGS)

# Threads that load, save, inspect and predict beside one that builds and trains.
SECONDS ?= 120
stress: $(STAMPS)/dev
	$(BIN)/python -W ignore -m tests.stress $(SECONDS) $(SEED)

# Every call to the file system of every way to save goes wrong in turn; ARGS="m.keras" narrows,
# ARGS=power cuts the power instead.
torture: $(STAMPS)/dev
	$(BIN)/python -W ignore -m tests.torture $(ARGS)

# One bit of every byte of what is written in every form; ARGS="--every 9 keras" takes fewer.
flips: $(STAMPS)/dev
	$(BIN)/python -W ignore -m tests.flips $(ARGS)

# Changed files to every reader, each told by its number: so many CASES from the FIRST.
CASES ?= 2000
FIRST ?= 0
fuzz: $(STAMPS)/dev
	$(BIN)/python -W ignore -m tests.fuzz $(CASES) $(FIRST)

# A smoke suite with the lowest declared versions of the dependencies, and with the newest.
VERSIONS := .venv-lowest .venv-newest
versions: $(VERSIONS:%=$(STAMPS)/%)
	for venv in $(VERSIONS); do $$venv/bin/python -m pip list --format freeze | tr '\n' ' '; \
	$$venv/bin/python -m pytest -q tests/smoke || exit 1; done

$(STAMPS)/.venv-lowest: pyproject.toml
	@$(call make-venv,.venv-lowest)
	$(PYTHON) tools/lowest_versions.py > $(STAMPS)/lowest.txt
	@.venv-lowest/bin/python $(PIP) -e . -c $(STAMPS)/lowest.txt $(SUITE)
	@touch $@

$(STAMPS)/.venv-newest: pyproject.toml
	@$(call make-venv,.venv-newest)
	@.venv-newest/bin/python $(PIP) --upgrade --upgrade-strategy eager -e . $(SUITE)
	@touch $@

# Models of KerasHub, which wants a TensorFlow beside it.
hub: $(STAMPS)/hub $(STAMPS)/oracle
	$(HUB)/bin/python -m pytest -q tests/hub $(ARGS)

# An S3 server and web servers on this machine, in an environment of their own.
stores: $(STAMPS)/stores
	$(STORES)/bin/python -m pytest -q tests/stores $(ARGS)

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# What a package index would take: the wheel and the source, and their description.
package: $(STAMPS)/dev
	rm -rf dist && $(BIN)/python -m build --quiet --outdir dist . && $(BIN)/twine check --strict dist/*

bench: $(STAMPS)/dev $(STAMPS)/oracle
	$(BIN)/python benchmarks/run.py $(ARGS)

# Models that a seed draws, written and read by everyone; N of them.
N ?= 500
differential: $(STAMPS)/dev $(STAMPS)/oracle
	$(BIN)/python -m tests.differential.campaign $(N) $(ARGS)

# English and Japanese, into site/; its code blocks are among the tests.
docs: $(STAMPS)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)

protos: $(STAMPS)/dev
	$(BIN)/python tools/make_protos.py

opdefs: $(STAMPS)/oracle
	$(ORACLE)/bin/python tools/make_opdefs.py

handled: $(STAMPS)/dev
	$(BIN)/python tools/make_handled.py

$(STAMPS)/venv:
	@$(call make-venv,$(VENV))
	@touch $@

$(STAMPS)/demo: $(STAMPS)/venv pyproject.toml
	@$(BIN)/python $(PIP) -e '.[demo]'
	@touch $@

# After demo's: two pips must not write to one environment at the same time.
$(STAMPS)/dev: $(STAMPS)/demo
	@$(BIN)/python $(PIP) -e '.[dev,demo]'
	@touch $@

$(STAMPS)/docs: $(STAMPS)/dev
	@$(BIN)/python $(PIP) -e '.[docs,dev,demo]'
	@touch $@

$(STAMPS)/oracle: tests/oracle/requirements.txt
	@$(call make-venv,$(ORACLE))
	@$(ORACLE)/bin/python $(PIP) -r tests/oracle/requirements.txt
	@touch $@

$(STAMPS)/hub: pyproject.toml
	@$(call make-venv,$(HUB))
	@$(HUB)/bin/python $(PIP) -e . keras-hub $(SUITE)
	@touch $@

$(STAMPS)/stores: pyproject.toml
	@$(call make-venv,$(STORES))
	@$(STORES)/bin/python $(PIP) -e . s3fs huggingface_hub 'moto[s3,server]' $(SUITE)
	@touch $@

# TensorFlow.js, where there is Node and the way to its packages; the tests that need it skip without.
$(STAMPS)/tfjs: tests/tfjs/package.json
	@mkdir -p $(TFJS) $(STAMPS) && cp tests/tfjs/package.json $(TFJS)
	@if npm install --prefix $(TFJS) --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null; \
	then touch $@; else echo "no TensorFlow.js: its tests will be skipped" >&2; fi

# A headless Chromium, likewise.
$(STAMPS)/browser: tests/browser/package.json
	@mkdir -p $(BROWSER) $(STAMPS) && cp tests/browser/package.json $(BROWSER)
	@if npm install --prefix $(BROWSER) --no-audit --no-fund --no-package-lock --loglevel=error >/dev/null; \
	then touch $@; else echo "no browser: the tests of pages in it will be skipped" >&2; fi

clean:
	rm -rf $(TFJS) $(BROWSER) $(HUB) $(VENV) $(ORACLE) $(VERSIONS) $(STAMPS)
