# Everything bootstraps itself: nothing but Python 3.11 (or newer) and make is needed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
OUT    ?= out
PRESET ?= quick
JOBS   ?= 2

# Compiled programs are kept and shared by the tests, the experiments, and their next runs.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0

.DEFAULT_GOAL := help
.PHONY: help reproduce test lint types floors unit doctest doctest-networks doctest-others docs bench lock format clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/all.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/build.txt
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/all.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# What runs for seconds is quicker to compile with less optimisation: tests with the least, the quick preset with
# some. The older emitters of loops take two thirds of the time of the newer.
SIMPLE      := --xla_cpu_use_fusion_emitters=false --xla_llvm_disable_expensive_passes=true
UNOPTIMISED := XLA_FLAGS="$(XLA_FLAGS) $(SIMPLE) --xla_backend_optimization_level=0"
QUICK       := XLA_FLAGS="$(XLA_FLAGS) $(SIMPLE) --xla_backend_optimization_level=1"

reproduce: $(STAMP)  ## run every experiment (PRESET=quick|full), JOBS at once, build the site in OUT
	$(if $(filter quick,$(PRESET)),$(QUICK)) $(BIN)/neuromanifold reproduce --preset $(PRESET) --jobs $(JOBS) --out $(OUT)

test: $(STAMP)  ## everything that must hold before a change lands
	$(MAKE) --jobs 2 docs types doctest lint floors
	$(MAKE) unit

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/basedpyright --level error

floors: $(STAMP)
	$(BIN)/lint-imports --no-cache

# The programs of the experiments' tests are the ones that `make reproduce` runs.
unit: $(STAMP)
	$(UNOPTIMISED) $(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/experiments
	$(QUICK) $(BIN)/python -m pytest -n 2 --dist loadfile tests/experiments

# The examples run in two processes, on the pages that `docs` has read.
doctest: doctest-networks doctest-others
DOCTEST := $(UNOPTIMISED) $(BIN)/sphinx-build -q -W --keep-going -d docs/_build/doctrees -b doctest docs

doctest-networks: docs
	$(DOCTEST) docs/_build/doctest-networks docs/networks.md

doctest-others: docs
	$(DOCTEST) docs/_build/doctest-others $(filter-out docs/networks.md,$(wildcard docs/*.md))

docs: $(STAMP)  ## the documentation, in docs/_build/html
	$(BIN)/sphinx-build -q -W --keep-going -d docs/_build/doctrees -b html docs docs/_build/html

bench: $(STAMP)  ## our loop and our recall against the best hand-written ones, ratios printed
	$(BIN)/python -m benchmarks

format: $(STAMP)  ## write every file in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP)  ## pin requirements/*.txt with hashes from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --all-extras pyproject.toml --output-file requirements/all.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links requirements/build.in --output-file requirements/build.txt

clean:  ## remove what make built
	rm -rf $(VENV) .cache docs/_build $(OUT)
