# Every target sets up .venv by itself, with the versions that constraints.txt pins.
#
#   make demo      the notebook's run, then the flights: from a CSV file, and beside an exact solver
#   make test      the tests, without the slow ones
#   make help      all targets
#
# PYTHON=python3.13 chooses the interpreter (3.11 or newer); another one rebuilds .venv.

PYTHON ?= python3
WORKERS ?= 2
KILLS ?= 1000
CASES ?= 1000000
SEED ?= 0
PROBLEMS ?= 2000
KIND ?= model
RUNS ?= 100000
MINUTES ?= 60
QUICK ?=
JOBS ?= 1
# What brings every kernel, row layout and file to its edges.
BOUNDS_TESTS ?= tests/data/features $(addprefix tests/data/preparing/test_, \
        claims.py measuring.py prepare.py prepared.py) \
    $(addprefix tests/data/sources/test_,svmlight.py table.py typed_checks.py) \
    tests/model/test_file.py tests/model/test_claims.py tests/rows/test_table_rows.py \
    tests/engine/kernels tests/engine/test_statistics.py tests/engine/test_training.py \
    tests/engine/test_mini_batches.py tests/engine/textbook/test_epoch.py

SHELL := /bin/sh
# Containers set it. Tests that start processes would compile every module in each.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
# The stamp carries the interpreter's version, so that another interpreter means another stamp.
VERSION := $(shell $(PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
READY := $(VENV)/.ready-$(VERSION)
AUDIT := .venv-audit
AUDIT_READY := $(AUDIT)/.ready-$(VERSION)
BENCH_READY := $(VENV)/.ready-bench-$(VERSION)
FUZZ_READY := $(VENV)/.ready-fuzz-$(VERSION)
DOCS_READY := $(VENV)/.ready-docs-$(VERSION)
# pip makes byte code of all that it installs, in one process: a third of the set-up. Without what
# these folders hold, and on all cores, it takes less than a third of that.
NO_BYTE_CODE := '/(tests|pip|setuptools|pkg_resources|mypy|mypyc|fontTools|lexers|cuda)/'
# Both names: pip before 25.3 applies the first to build requirements as well, later ones the second.
PIN = PIP_CONSTRAINT=$(1) PIP_BUILD_CONSTRAINT=$(1) PIP_DISABLE_PIP_VERSION_CHECK=1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-all test-random test-compiled test-bounds golden crash fuzz fuzz-guided fuzz-fits soak lint format types imports setup-docs docs bench wheel audit clean

help:
	@echo 'make demo          the notebook to the digit, then 336,776 flights beside an exact solver'
	@echo 'make test          the tests, without the slow ones'
	@echo 'make test-slow     the slow tests alone'
	@echo 'make test-all      both'
	@echo 'make test-random   further examples, other ones each time (Hypothesis)'
	@echo 'make test-compiled what the tests run uncompiled, compiled'
	@echo 'make test-bounds   every index of compiled code checked, over what reads files and rows'
	@echo 'make crash         a thousand kills of runs, faults of files, states of the disk (KILLS=50)'
	@echo 'make fuzz          a million damaged files: only errors of ours (CASES=10000 SEED=1)'
	@echo 'make fuzz-guided   the same, where coverage chooses what is damaged next (KIND=model RUNS=100000)'
	@echo 'make fuzz-fits     2,000 random models beside scikit-learn, statsmodels, glum (PROBLEMS=300)'
	@echo 'make soak          an hour of work in one process: nothing grows (MINUTES=5)'
	@echo 'make golden        which of the recorded fits have other bits now'
	@echo 'make lint          ruff: rules and format'
	@echo 'make format        ruff: apply the format and the safe fixes'
	@echo 'make types         mypy'
	@echo 'make imports       import-linter: which module may import which'
	@echo 'make docs          the documentation as a site, in build/docs/html (installs Sphinx)'
	@echo 'make bench         the benchmarks against other libraries, which it installs (QUICK=1 JOBS=2)'
	@echo 'make wheel         a wheel with compiled kernels, for this platform and Python, in dist'
	@echo 'make audit         advisories about what is installed, and its licences (needs a network)'
	@echo 'make setup         .venv alone'
	@echo 'make clean         remove .venv and everything that tools left behind'
	@echo 'PYTHON=python3.13 chooses the interpreter; WORKERS=4 the processes that test'

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@if [ -z "$(VERSION)" ]; then \
	    echo "error: '$(PYTHON)' does not run. Name a Python 3.11 or newer: make PYTHON=python3.13" >&2; \
	    exit 1; \
	fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: gradstep needs Python 3.11 or newer; '$(PYTHON)' is $(VERSION)." \
	         "Name another: make PYTHON=python3.13" >&2; \
	    exit 1; \
	}
	@if [ "$$($(BIN)/python -c 'import platform; print(platform.python_version())' 2>/dev/null)" \
	        != "$(VERSION)" ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    echo "Creating $(VENV) with Python $(VERSION)"; \
	    rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) || { \
	        echo "error: '$(PYTHON) -m venv' failed. Debian and Ubuntu keep it in a package of its" \
	             "own, python3-venv." >&2; \
	        exit 1; \
	    }; \
	fi
	@echo 'Installing gradstep and what it needs (about a minute)'
	@$(call PIN,constraints.txt) $(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	@$(BIN)/python -m compileall -qq -j 0 -x $(NO_BYTE_CODE) $(VENV)/lib src || true
	@rm -f $(VENV)/.ready-*
	@touch $@

demo: $(READY)
	$(BIN)/gradstep demo
	$(BIN)/python examples/unpack_flights.py build/flights.csv
	cd build && ../$(BIN)/gradstep train flights.csv --target arr_delay --drop arr_time,tailnum
	cd build && ../$(BIN)/gradstep predict flights-arr_delay.safetensors flights.csv \
	    -o predictions.parquet --keep carrier,flight
	cd build && ../$(BIN)/gradstep evaluate flights-arr_delay.safetensors flights.csv
	$(BIN)/python examples/flights.py

# Kernels are compiled on first use and kept on disk: the first run takes longer than the next.
test: $(READY)
	$(BIN)/python -m pytest -m 'not slow' -n $(WORKERS)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow -n $(WORKERS) || test $$? -eq 5

test-all: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS)

# Failures are kept in .hypothesis and tried first the next time.
test-random: $(READY)
	$(BIN)/python -m pytest -m 'hypothesis and not slow' -n $(WORKERS) --hypothesis-profile=random

test-compiled: $(READY)
	$(BIN)/python -m pytest -m uncompiled --compile-all -n $(WORKERS)

# Compares the bits of some seventy fits with those in tests/golden/bits.json.
golden: $(READY)
	$(BIN)/python -m tests.golden

# Processes that are killed and go on, each file operation of a run failing, each state of the disk
# when the power fails: about an hour.
crash: $(READY)
	$(BIN)/python -m tests.crash --kills $(KILLS) --workers $(WORKERS)
	$(BIN)/python -m tests.crash.faults
	$(BIN)/python -m tests.crash.replay

# Damaged files, with kernels that check every index, in a cache of their own: a quarter of an hour.
fuzz: $(READY)
	GRADSTEP_CACHE_DIR=$(CURDIR)/build/bounds \
	    $(BIN)/python -m tests.fuzz --cases $(CASES) --seed $(SEED) --workers $(WORKERS)

$(FUZZ_READY): $(READY) tests/fuzz/constraints.txt
	@echo 'Installing the fuzzer that coverage guides'
	@$(call PIN,"constraints.txt tests/fuzz/constraints.txt") \
	    $(BIN)/python -m pip install --quiet --editable '.[dev,fuzz]'
	@touch $@

# What reached new lines is kept in build/fuzz-corpus, where the next run begins.
fuzz-guided: $(FUZZ_READY)
	$(BIN)/python -m tests.fuzz.guided $(KIND) -runs=$(RUNS)

# Compiled once more, with an exception where an index leaves its array, in a cache of its own. What
# runs uncompiled would be checked as it is by `make test`.
test-bounds: $(READY)
	NUMBA_BOUNDSCHECK=1 GRADSTEP_CACHE_DIR=$(CURDIR)/build/bounds \
	    $(BIN)/python -m pytest -m '(listed or not slow) and not uncompiled' -n $(WORKERS) $(BOUNDS_TESTS)

# Beside scikit-learn and statsmodels; beside glum, if that is installed in .venv.
fuzz-fits: $(BENCH_READY)
	$(BIN)/python -m tests.fuzz.fits --problems $(PROBLEMS) --seed $(SEED)

soak: $(READY)
	$(BIN)/python -m tests.crash.soak --minutes $(MINUTES)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

$(DOCS_READY): $(READY)
	@echo 'Installing what makes the site'
	@$(call PIN,constraints.txt) $(BIN)/python -m pip install --quiet --editable '.[dev,docs]'
	@touch $@

setup-docs: $(DOCS_READY)

# A warning fails it. The site opens from the disk, and loads nothing from elsewhere.
docs: $(DOCS_READY)
	$(BIN)/python -m docs.site

$(BENCH_READY): $(READY) benchmarks/constraints.txt
	@echo 'Installing the libraries to compare with'
	@$(call PIN,"constraints.txt benchmarks/constraints.txt") \
	    $(BIN)/python -m pip install --quiet --editable '.[dev,bench]'
	@touch $@

# Hours; QUICK=1: minutes, to see that all runs. JOBS=2: cases of solvers at a time.
bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) --jobs $(JOBS)

# Kernels of first fits are compiled for any processor with AVX2, and put into the wheel.
wheel: $(READY)
	GRADSTEP_WHEEL_KERNELS=1 $(BIN)/python -m hatchling build -t wheel

$(AUDIT_READY): $(READY) tests/audit/constraints.txt
	@echo 'Installing the tools that audit, apart from what they look at'
	@rm -rf $(AUDIT) && $(PYTHON) -m venv $(AUDIT)
	@$(call PIN,"constraints.txt tests/audit/constraints.txt") \
	    $(AUDIT)/bin/python -m pip install --quiet pip-audit pip-licenses
	@touch $@

audit: $(AUDIT_READY)
	$(BIN)/python -m tests.audit --tools $(AUDIT)/bin

clean:
	rm -rf $(VENV) $(AUDIT) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
