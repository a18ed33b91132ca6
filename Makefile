# One environment for everything: made when missing, kept while the requirements stay the same.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
KEY := $(shell cat pyproject.toml requirements.lock | sha256sum | cut -c1-16)
READY := $(VENV)/.ready-$(KEY)
# A shared VENV may run the sources of another clone: then it is made ready for this one again.
OURS := $(shell grep -ls '"editable": true.*"file://$(CURDIR)"' $(VENV)/lib/python*/site-packages/medarts_ops-*.dist-info/direct_url.json)
# A process of tests for each core, up to four: the tests themselves compute on one thread. Each begins with as many
# tests in a row, which share what their files make; one that is done takes half of another's rest.
SIDE_BY_SIDE := --numprocesses=logical --maxprocesses=4 --dist=worksteal
NAME := digits-$(shell date -u +%Y%m%d-%H%M%S)

.PHONY: help environment search test test-fast test-faults container lint typecheck screenshots gpu-proof docs lock clean $(if $(OURS),,$(READY))

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

environment: $(READY) ## Install the package and its test tools

# The mark goes first: an installation that breaks off must not leave it standing. The build is not isolated, since
# an isolated one fetches setuptools each time.
$(READY):
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import sys; sys.version_info >= (3, 11) or sys.exit("medarts-ops needs Python 3.11 or newer: remove $(VENV) and set PYTHON=")'
	rm -f $(VENV)/.ready-*
	$(PIP) install --constraint requirements.lock setuptools
	$(PIP) install --constraint requirements.lock --no-build-isolation --editable '.[test,postgres]'
	touch $@

search: $(READY) ## The main job on scikit-learn's digits: search, then train the winner
	$(BIN)/medarts search --name $(NAME)
	$(BIN)/medarts evaluate $(NAME)
	@echo
	@echo "To look at it: $(BIN)/medarts ui"

test: $(READY) ## All tests but the fault suite; those for a GPU are skipped where there is none
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not faults"

test-fast: $(READY) ## The tests without the slow ones
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not slow and not gpu and not faults"

test-faults: $(READY) ## The fault suite: processes killed, disks filled, thousands of broken inputs
	$(BIN)/pytest $(SIDE_BY_SIDE) -m faults tests/faults

container: $(READY) ## Build and try the Docker image without an engine: its steps in a temporary folder, for minutes
	$(BIN)/python .ci/replay_container.py

lint: $(READY) typecheck ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The folders are mapped under one name, which a type checker sees only in an installed copy.
typecheck: $(READY)
	rm -rf build
	$(PIP) install --no-deps --no-build-isolation --target build/typecheck .
	MYPYPATH=build/typecheck $(BIN)/mypy -p medarts_ops
	rm -rf build

screenshots: $(READY) ## Make the pictures in docs/images from the newest search in this folder's stores; needs Chromium
	PYTHONPATH=tests $(BIN)/python docs/screenshots.py

# Written whatever failed: the table says what did.
gpu-proof: $(READY) ## All that a CUDA card has to show, as gpu-proof/proof.md; IMAGES=FILE.npz are CIFAR-10's
	test -n "$(IMAGES)" || { echo "give the images: make gpu-proof IMAGES=FILE.npz" >&2; exit 1; }
	$(BIN)/python docs/measured/gpu_proof.py run gpu-proof $(IMAGES) --minutes 1440; code=$$?; \
	$(BIN)/python docs/measured/gpu_proof.py table gpu-proof > gpu-proof/proof.md; exit $$code

docs: $(READY) ## Write docs/settings.md from the models
	$(BIN)/python -c 'from medarts_ops.configs.reference import settings_reference; print(settings_reference(), end="")' > docs/settings.md

lock: $(READY) ## Write requirements.lock: what the Docker image installs
	mkdir -p build
	$(PIP) install --dry-run --ignore-installed --report build/report.json '.[postgres,ray]'
	$(BIN)/python .ci/lock.py build/report.json requirements.lock
	rm -rf build

clean: ## Remove what was built here, not the results
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
