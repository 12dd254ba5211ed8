# Two commands for a fresh machine with Python >= 3.10: `make book` and `make test`. Each sets up what it needs.
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# The environment is reused as long as the requirements are the same, whatever the files' dates say.
READY := $(VENV)/ready-$(shell cat requirements.txt pyproject.toml | cksum | cut -d ' ' -f 1)
# Tests and notebooks run side by side: one thread each. Two kernels with two threads each are many times slower.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: book html test refresh env clean
.DEFAULT_GOAL := book

book: html ## build the book, serve it on localhost and print the address
	$(BIN)/python -m cnncourse.book serve --port $(PORT)

html: env ## build and check the HTML only
	$(BIN)/python -m cnncourse.book build

test: env ## lint, types, library, every notebook, the book in a browser
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadgroup

refresh: env ## execute all notebooks again and store their outputs
	$(BIN)/python -m cnncourse.book refresh

env: $(READY)

$(READY):
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("cnncourse needs Python 3.10 or newer, this is " + sys.version.split()[0] + "; say make PYTHON=python3.11")'
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "This Python has no venv: install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@rm -f $(VENV)/ready-*
	@touch $@

clean: ## remove the environment and everything built
	rm -rf $(VENV) _build .pytest_cache .ruff_cache .mypy_cache .hypothesis
