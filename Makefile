# `make demo` shows the main job, `make test` checks everything. Each sets up what it needs.

PYTHON ?= python3
VENV := .venv
ORACLE := .venv-oracle
BIN := $(VENV)/bin
STAMPS := .stamps
PIP := -m pip install --quiet --disable-pip-version-check
JOBS ?= 2

export KERAS_BACKEND ?= jax
export JAX_PLATFORMS ?= cpu
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test lint bench protos opdefs clean

demo: $(STAMPS)/demo
	@$(BIN)/python examples/demo.py

test: $(STAMPS)/dev $(STAMPS)/oracle
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -q $(ARGS)

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(STAMPS)/dev $(STAMPS)/oracle
	$(BIN)/python benchmarks/run.py $(ARGS)

protos: $(STAMPS)/dev
	$(BIN)/python tools/make_protos.py

opdefs: $(STAMPS)/oracle
	$(ORACLE)/bin/python tools/make_opdefs.py

$(STAMPS)/venv:
	@mkdir -p $(STAMPS)
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Hozon needs Python 3.11 or newer"'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(STAMPS)/demo: $(STAMPS)/venv pyproject.toml
	@$(BIN)/python $(PIP) -e '.[demo]'
	@touch $@

$(STAMPS)/dev: $(STAMPS)/venv pyproject.toml
	@$(BIN)/python $(PIP) -e '.[dev,demo]'
	@touch $@

$(STAMPS)/oracle: tests/oracle/requirements.txt
	@mkdir -p $(STAMPS)
	@test -x $(ORACLE)/bin/python || $(PYTHON) -m venv $(ORACLE)
	@$(ORACLE)/bin/python $(PIP) -r tests/oracle/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) $(ORACLE) $(STAMPS)
