# Everything here also works by hand: see README.md, "Without make".
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A file's tests share what is made once. The slow ones start studies of two workers themselves and wait for them, so
# three test processes keep two cores busy.
# Files with slow tests come first (tests/conftest.py), and not, as pytest-xdist would have it, those with most tests.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo bench gpu soak test fast lint style types pytest format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## train a small study on the embedded images and write its report
	$(BIN)/python -m ablations.run --grid demo --name demo

bench: $(STAMP) ## time ours beside plain PyTorch, PyTorch Lightning, JAX and the machine's limit
	$(BIN)/python -m pip install -c constraints.txt -e '.[bench]'
	$(BIN)/python -m ablations.bench

# Without an environment of its own where there is none: a machine that is lent has torch, and no network.
gpu: ## everything that waits for a GPU, in twelve minutes of one: checks, speed, and three studies
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m ablations.bench.gpu $(GPU)

soak: $(STAMP) ## kill studies at random moments, run 2,000 tiny trials, and count what was lost and left: an hour
	$(BIN)/python -m ablations.bench.soak

# Where nothing may be kept, each of the hundred processes that tests start compiles all modules anew.
test fast: export PYTHONDONTWRITEBYTECODE :=

# In a fresh clone mypy takes a minute of one core, so the tests begin on the other ones meanwhile.
test: style ## lint, types and every test
	$(MAKE) --jobs 2 types pytest

fast: $(STAMP) ## the quick tests only
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

lint: style types ## ruff and mypy, nothing is changed

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

pytest: $(STAMP)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)

format: $(STAMP) ## let ruff rewrite the files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment, caches and build leftovers; results/ and reports/ stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp, so that the environment is made again when what it holds has changed.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-compile -c constraints.txt -e '.[dev]'
	@# 20,000 modules, on all processors, where pip takes one. Some packages hold templates that are no Python: that is no error.
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	touch $@
