# One environment for everything: made when missing, kept while the requirements and this folder stay the same.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
KEY := $(shell (cat pyproject.toml requirements.lock; pwd) | sha256sum | cut -c1-16)
READY := $(VENV)/.ready-$(KEY)
NAME := digits-$(shell date -u +%Y%m%d-%H%M%S)

.PHONY: help environment search test test-fast lint typecheck lock clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

environment: $(READY) ## Install the package and its test tools

$(READY):
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.exit("medarts-ops needs Python 3.11 or newer: set PYTHON=") if sys.version_info < (3, 11) else None'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[test,postgres]'
	rm -f $(VENV)/.ready-*
	touch $@

search: $(READY) ## The main job on scikit-learn's digits: search, then train the winner
	$(BIN)/medarts search --name $(NAME)
	$(BIN)/medarts evaluate $(NAME)
	@echo
	@echo "To look at it: $(BIN)/medarts ui"

test: $(READY) ## All tests but those that need a GPU
	$(BIN)/pytest

test-fast: $(READY) ## The tests without the slow ones
	$(BIN)/pytest -m "not slow and not gpu"

lint: $(READY) typecheck ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The folders are mapped under one name, which a type checker sees only in an installed copy.
typecheck: $(READY)
	rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/typecheck .
	MYPYPATH=build/typecheck $(BIN)/mypy -p medarts_ops
	rm -rf build

lock: $(READY) ## Write requirements.lock: what the Docker image installs
	$(BIN)/python -m pip install --quiet --dry-run --ignore-installed --report build-report.json '.[postgres]'
	$(BIN)/python .ci/lock.py build-report.json requirements.lock
	rm -f build-report.json

clean: ## Remove what was built here, not the results
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
