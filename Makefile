# make run, make test: that is all a new machine needs, besides Python >= 3.10.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The real servers have requirements of their own.
REAL := .venv-real
FUZZ := .venv-fuzz
PIP := -m pip install --quiet --disable-pip-version-check
SOURCES := olla tests twisted bench setup.py
PROGRAMS := build/bench
# How often, which loads, which targets, where the page goes; SCENARIOS and ONLY are lists with commas.
ROUNDS ?= 3
SCENARIOS ?=
ONLY ?=
PAGE ?= docs/performance.rst

.PHONY: run test test-real fuzz coverage-of-spec bench bench-smoke check lint types arch format docs clean

run: $(READY)            ## set everything up and start with two embedded engines
	$(BIN)/olla --demo

test: $(READY)           ## the tests that need no server
	$(BIN)/python -m twisted.trial --jobs=2 tests

test-real: $(REAL)/.ready ## real llama.cpp and LiteLLM, and a scripted fleet of every kind, behind a real Olla, driven by the official clients
	$(REAL)/bin/python -m twisted.trial --temp-directory=_trial_temp_real tests.real.clients tests.real.fleet tests.real.failover

bench: $(READY) $(PROGRAMS)/llmsim $(PROGRAMS)/llmload ## measure Olla and, where they are installed, its peers; on a quiet machine
	$(BIN)/python -m bench --programs $(PROGRAMS) --peers $(REAL) --rounds $(ROUNDS) --out $(PROGRAMS)/result.json \
		--page "$(PAGE)" --scenarios "$(SCENARIOS)" --only "$(ONLY)"

bench-smoke: $(READY) $(PROGRAMS)/llmsim $(PROGRAMS)/llmload ## see in seconds that measuring works
	$(BIN)/python -m bench --programs $(PROGRAMS) --smoke --rounds 1

$(PROGRAMS)/%: bench/%.c
	mkdir -p $(PROGRAMS)
	$(CC) -O2 -Wall -o $@ $<

fuzz: $(FUZZ)/.ready     ## requests of every kind, out of /openapi.json
	$(FUZZ)/bin/python -m tests.fuzz

coverage-of-spec: $(READY) ## what is promised, and no test cites
	$(BIN)/python -m tests.statements

check: lint types arch   ## what every commit must pass

lint: $(READY)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: $(READY)
	$(BIN)/mypy

arch: $(READY)
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

docs: $(READY)           ## the pages as HTML, in build/docs
	mkdir -p build/docs
	for page in README.rst docs/*.rst; do \
		$(BIN)/docutils --halt=warning "$$page" "build/docs/$$(basename "$$page" .rst).html" || exit 1; \
	done

$(READY): setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --editable '.[dev,test,docs]'
	touch $@

$(REAL)/.ready: setup.py tests/real/requirements.txt
	test -x $(REAL)/bin/python || $(PYTHON) -m venv $(REAL)
	$(REAL)/bin/python $(PIP) --editable '.[test]' --requirement tests/real/requirements.txt
	touch $@

$(FUZZ)/.ready: setup.py tests/fuzz/requirements.txt
	test -x $(FUZZ)/bin/python || $(PYTHON) -m venv $(FUZZ)
	$(FUZZ)/bin/python $(PIP) --editable '.[test]' --requirement tests/fuzz/requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(REAL) $(FUZZ) _trial_temp* build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .hypothesis .import_linter_cache
