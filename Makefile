# The two commands are `make run` and `make test`; the rest is what they are made of.
# A machine needs git, make and Python, 3.10 or later: make PYTHON=python3.13 test

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test lint types pytest format requirements clean

help: ## show this
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 24

run: .venv/installed .meltano/installed ## read Toloka, or an emulator of it, into PostgreSQL, and ask it three questions
	@$(BIN)/python -m scripts.run

test: lint types pytest ## everything that must pass

lint: .venv/installed ## style and layout
	@echo "ruff check"
	@$(BIN)/ruff check --quiet
	@echo "ruff format --check"
	@$(BIN)/ruff format --quiet --check

types: .venv/installed ## types
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary

pytest: .venv/installed .venv-toloka-kit/installed ## the tests alone
	@echo "pytest"
	@$(BIN)/pytest -n auto --dist worksteal

format: .venv/installed ## put style and layout right where that can be done
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format

requirements: .venv/installed ## pin the newest versions in requirements-dev.txt
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header \
		--no-annotate pyproject.toml requirements-dev.in --output-file requirements-dev.txt

clean: ## remove all that was made here: environments, plugins, state, the embedded database
	rm -rf .venv .venv-toloka-kit .meltano .run .hypothesis .*_cache

# Made again when what they are made from changes.

.venv/installed: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo >&2 \
		"tap-toloka needs Python 3.10 or later, not '$(PYTHON)'. Name another: make PYTHON=python3.13"; \
		exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check -r requirements-dev.txt -e .
	@touch $@

.venv-toloka-kit/installed: tests/toloka_kit/requirements.txt
	@echo "Making .venv-toloka-kit, for the tests that read the emulator with Toloka's own client"
	@$(PYTHON) -m venv .venv-toloka-kit
	@.venv-toloka-kit/bin/pip install --quiet --quiet --disable-pip-version-check -r $<
	@touch $@

.meltano/installed: .venv/installed meltano.yml
	@echo "Installing Meltano's plugins"
	@$(BIN)/meltano --log-level=error install tap-toloka target-postgres
	@touch $@
