# A machine with Python 3.11 and nothing else: `make reproduce`, `make test`.
SHELL := bash
VENV ?= .venv
PROFILE ?= demo
DATA ?=
PYTHON := $(shell command -v python3.11 || command -v python3)
RUN := $(VENV)/bin/python

.PHONY: environment reproduce test bench lint typecheck site verify faults clean

environment: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "expected Python 3.11, got $$("$(PYTHON)" --version 2>&1 || echo none); install it, then run make again" >&2; exit 1; }
	"$(PYTHON)" -m venv "$(VENV)"
	"$(VENV)/bin/python" -m pip install --quiet --require-hashes --requirement requirements.lock
	"$(VENV)/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch "$@"

reproduce: $(VENV)/.installed
	@"$(RUN)" -m semantiseg.cli reproduce --profile "$(PROFILE)" $(if $(DATA),--data "$(DATA)")

test: $(VENV)/.installed
	@"$(RUN)" -m pytest

bench: $(VENV)/.installed
	@PYTHONPATH=. "$(RUN)" benchmarks/run.py $(ONLY)

typecheck: $(VENV)/.installed
	@"$(RUN)" -m mypy

# What a reviewer asks of any clone; needs no data.
verify: $(VENV)/.installed
	@"$(RUN)" -m semantiseg.cli verify

lint: $(VENV)/.installed typecheck
	@"$(RUN)" -m ruff check .
	@"$(RUN)" -m semantiseg.cli notebooks strip --check
	@PYTHONPATH=. "$(RUN)" benchmarks/house.py

# docs/faults.md from the tests that try the faults.
faults: $(VENV)/.installed
	@PYTHONPATH=.:tests "$(RUN)" -m faults.table

site: $(VENV)/.installed
	@"$(RUN)" -m semantiseg.cli site

# What a run leaves behind; committed results and the environment stay.
clean:
	rm -rf data/.staging data/failed workspaces logs .pytest_cache .mypy_cache .ruff_cache .hypothesis
