# Every target works on a bare machine: the ones that need it make .venv first.
#
#   make run     set everything up and take the tour: a real model, from pull to report
#   make test    set everything up and prove it: what the gate runs
#
# PYTHON picks the interpreter (3.11 or newer). TORCH picks the build of torch: the default is the one we test with;
# on a Linux machine without a GPU, point pip at a CPU build of it to save gigabytes.

PYTHON ?= python3
TORCH ?= torch==2.13.0
PYTEST_ARGS ?=

BIN := .venv/bin
READY := .venv/.ready

.PHONY: venv run test check bench docs fmt clean

venv: $(READY)

$(READY): pyproject.toml setup.py $(wildcard hanlin/kernels/native/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1)"; \
		  echo "  fix: install one and say make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ echo "$(PYTHON) cannot make a virtual environment"; echo "  fix: install its venv package, such as python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@

run: venv
	@$(BIN)/hanlin tour

test: venv
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

check: venv
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/pyright
	@$(BIN)/python -m pytest -q tests/house --deselect tests/house/test_lint.py --deselect tests/house/test_docs.py

bench: venv
	@for question in load decode prefill; do $(BIN)/python bench/$$question.py || exit; done

docs: venv
	@$(BIN)/python docs/build.py

fmt: venv
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean:
	rm -rf .venv out .pytest_cache .ruff_cache .hypothesis *.egg-info
