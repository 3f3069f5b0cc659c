# The two commands are `make run` and `make test`; `make help` lists the others.
# Requires git, make and Python 3.10 or later: make PYTHON=python3.13 test

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run psql test examples lint types pytest format generate requirements clean

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 24

run: .venv/installed .meltano/installed ## load Toloka, or its emulator, into PostgreSQL, build the marts, write a report
	@$(BIN)/python -m scripts.run

psql: .venv/installed ## open psql on what `make run` has loaded, or run SQL="SELECT ..."
	@$(BIN)/python -m scripts.psql

test: ## lint, type checks and all tests
	@$(MAKE) --no-print-directory --jobs=2 .venv/installed .venv-toloka-kit/installed \
		.venv-targets/installed
	@$(MAKE) --no-print-directory lint types pytest

lint: .venv/installed ## check style and formatting
	@echo "ruff check"
	@$(BIN)/ruff check --quiet
	@echo "ruff format --check"
	@$(BIN)/ruff format --quiet --check

types: .venv/installed ## check types
	@echo "mypy"
	@$(BIN)/mypy --no-error-summary

pytest: .venv/installed .venv-toloka-kit/installed .venv-targets/installed ## run the tests only
	@echo "pytest"
	@$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

examples: ## test the examples with Airflow, Dagster, dbt and the schemas of Kubernetes: minutes
	@$(MAKE) --no-print-directory --jobs=2 .venv/installed .venv-airflow/installed \
		.venv-dagster/installed .venv-kubernetes/installed
	@$(BIN)/pytest -n auto --dist loadfile --timeout 1200 examples

format: .venv/installed ## fix style and formatting where possible
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format

generate: .venv/installed ## write the files that are generated from the schemas or meltano.yml
	@for module in scripts.plugin_definitions scripts.dbt_models scripts.data_dictionary \
		scripts.hub_definition; do $(BIN)/python -m $$module; done

requirements: .venv/installed ## pin the latest versions in requirements-dev.txt and for the examples
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header \
		--no-annotate pyproject.toml requirements-dev.in --output-file requirements-dev.txt
	@for example in airflow dagster kubernetes; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --no-header \
			--no-annotate examples/$$example/requirements.in \
			--output-file examples/$$example/requirements.txt; done

clean: ## delete everything made here: environments, plugins, state, the embedded database
	rm -rf .venv .venv-* .meltano .run .hypothesis .*_cache transform/logs transform/target

# Rebuilt when their sources change.

.venv/installed: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo >&2 \
		"tap-toloka needs Python 3.10 or later, not '$(PYTHON)'. Choose another one: make PYTHON=python3.13"; \
		exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --quiet --disable-pip-version-check -r requirements-dev.txt -e .
	@touch $@

.venv-toloka-kit/installed: tests/toloka_kit/requirements.txt
	@echo "Making .venv-toloka-kit, for the tests that read the emulator with toloka-kit"
	@$(PYTHON) -m venv .venv-toloka-kit
	@.venv-toloka-kit/bin/pip install --quiet --quiet --disable-pip-version-check -r $<
	@touch $@

.venv-targets/installed: tests/targets/requirements.txt
	@echo "Making .venv-targets, for the tests that load target-jsonl and target-sqlite"
	@$(PYTHON) -m venv .venv-targets
	@.venv-targets/bin/pip install --quiet --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

.venv-%/installed: examples/%/requirements.txt
	@echo "Making .venv-$*, for the tests of examples/$*"
	@$(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/pip install --quiet --quiet --disable-pip-version-check -r $<
	@touch $@

.meltano/installed: .venv/installed meltano.yml
	@echo "Installing Meltano's plugins"
	@$(BIN)/meltano --log-level=error install tap-toloka target-postgres dbt-postgres
	@touch $@
