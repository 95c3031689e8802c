# make run, make test: that is all a new machine needs, besides Python >= 3.10.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-real check lint types arch format clean

run: $(READY)            ## set everything up and start with two embedded engines
	$(BIN)/twistd --nodaemon --pidfile= olla --demo

test: $(READY)           ## the tests that need no server
	$(BIN)/python -m twisted.trial --jobs=2 tests

check: lint types arch   ## what every commit must pass

lint: $(READY)
	$(BIN)/ruff check olla tests twisted setup.py
	$(BIN)/ruff format --check olla tests twisted setup.py

types: $(READY)
	$(BIN)/mypy

arch: $(READY)
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix olla tests twisted setup.py
	$(BIN)/ruff format olla tests twisted setup.py

test-real:               ## real llama.cpp and LiteLLM behind a real Olla, driven by the official clients
	PYTHON=$(PYTHON) sh tests/real/run.sh

$(READY): setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,test]'
	touch $(READY)

clean:
	rm -rf $(VENV) .venv-real _trial_temp* build *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
