# A machine with Python 3.11 and nothing else: `make reproduce`, `make test`.
SHELL := bash
VENV ?= .venv
PROFILE ?= demo
DATA ?=
PYTHON := $(shell command -v python3.11 || command -v python3)
RUN := $(VENV)/bin/python

.PHONY: environment usable reproduce test bench lint typecheck site verify faults clean

environment: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "expected Python 3.11, got $$("$(PYTHON)" --version 2>&1 || echo none); install it, then run make again" >&2; exit 1; }
	"$(PYTHON)" -m venv "$(VENV)"
	"$(VENV)/bin/python" -m pip install --quiet --require-hashes --requirement requirements.lock
	"$(VENV)/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch "$@"

# An environment whose Python was removed, or that was copied from elsewhere, is named before anything else is blamed.
usable: $(VENV)/.installed
	@"$(RUN)" -c 'import click, numpy, pydantic' 2>/dev/null || \
		{ echo "expected a working environment in $(VENV), got a stale one; run: rm -rf $(VENV); make environment" >&2; exit 1; }

reproduce: usable
	@"$(RUN)" -m semantiseg.cli reproduce --profile "$(PROFILE)" $(if $(DATA),--data "$(DATA)")

test: usable
	@"$(RUN)" -m pytest

bench: usable
	@PYTHONPATH=. "$(RUN)" benchmarks/run.py $(ONLY)

typecheck: usable
	@"$(RUN)" -m mypy

# What a reviewer asks of any clone; needs no data.
verify: usable
	@"$(RUN)" -m semantiseg.cli verify

lint: usable typecheck
	@"$(RUN)" -m ruff check .
	@"$(RUN)" -m semantiseg.cli notebooks strip --check
	@PYTHONPATH=. "$(RUN)" benchmarks/house.py

# docs/faults.md from the tests that try the faults.
faults: usable
	@PYTHONPATH=.:tests "$(RUN)" -m faults.table

site: usable
	@"$(RUN)" -m semantiseg.cli site

# What a run leaves behind; committed results and the environment stay.
clean:
	rm -rf data/.staging data/failed workspaces logs .pytest_cache .mypy_cache .ruff_cache .hypothesis
