# make test: everything that must hold. make demo: a model's whole life on built-in data, offline.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; `make test PYTHON=python3.12` chooses another.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
JOBS ?= 2

.PHONY: help test check demo constraints clean
help:
	@echo 'make test    check and test everything (in a .venv of its own)'
	@echo 'make demo    run the whole life of a model on built-in data'
	@echo 'make check   only what needs no test run: ruff, mypy, layers, generated docs'
	@echo 'make clean   remove what the above made'

# pytest comes last: its closing line is the last line of the output.
test: check
	scripts/system-parts
	-@scripts/base-image
	$(BIN)/python -m pytest -n $(JOBS) $(PYTEST_FLAGS)

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	if [ -x scripts/docs ]; then $(BIN)/python scripts/docs --check; fi

demo: $(VENV)/tables.stamp
	rm -rf mlops-demo
	$(BIN)/mlops demo mlops-demo

$(VENV)/dev.stamp: pyproject.toml constraints-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-dev.txt -e '.[dev]'
	@touch $@ $(VENV)/tables.stamp

$(VENV)/tables.stamp: pyproject.toml constraints-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-dev.txt -e '.[tables]'
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'make: Python 3.11 or newer is needed' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); scripts/system-parts --venv && $(PYTHON) -m venv $(VENV); }

# Pin what is installed now, for the next machine.
constraints: $(BIN)/python
	@{ echo '# Versions that the tests ran with; pip install -c constraints-dev.txt. Made by: make constraints'; \
	  echo 'torch==2.13.0  # a newer one brings a CUDA build of gigabytes'; \
	  $(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check | grep -v '^torch=='; } > constraints-dev.txt

clean:
	rm -rf $(VENV) mlops-demo .cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find mlops_cli tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
