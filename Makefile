# Everything a developer types. Each target creates .venv first when it is missing; nothing else is needed but Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin

# One more than two processors: much of a test's time is waiting for programs.
WORKERS ?= 3

NEW_ENOUGH := import sys; sys.version_info >= (3, 11) or sys.exit("clawlog needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.11")

.PHONY: venv demo test faults agents lint format bench docs man clean
.DEFAULT_GOAL := venv

venv: .venv/.stamp  ## .venv with the project (editable) and all tools

.venv/.stamp: pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)'
	@echo "Installing clawlog, its libraries and the developers' tools into .venv (once; a minute or two) …"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(BIN)/python -m compileall -q client/clawlog  # in an agent's sandbox, where it cannot be written, each call would do it anew
	@touch $@

# What a user needs, and none of the developers' tools; where those are there, nothing is to be done.
.venv/.runtime: pyproject.toml
	@if [ .venv/.stamp -nt pyproject.toml ]; then touch $@; else \
	  $(PYTHON) -c '$(NEW_ENOUGH)' && \
	  echo "Installing clawlog and its libraries into .venv (once; half a minute with a quick network) …" && \
	  $(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --disable-pip-version-check --editable . && touch $@; fi

demo: .venv/.runtime  ## a complete run on temporary state: ends by itself, with what to open then
	@$(BIN)/clawlog demo

test: venv  ## every test; COVERAGE=1 measures them, too, and fails below the floor in pyproject.toml (nearly twice the work)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered)

faults: venv  ## every fault in its long form (over half an hour); prints the table of docs/reliability.md
	PYTHONPATH=tests $(BIN)/python -m faults
	CLAWLOG_TEST_ENGINES=all $(BIN)/python -m pytest -q --no-cov tests/integration/backend -k postgresql
	CLAWLOG_TEST_SERVERS=200 $(BIN)/python -m pytest -q --no-cov tests/unit/daemon/upstream/contracts/test_discovery.py

agents: venv  ## the real coding agents through every scenario; prints the table of docs/agents-and-skills.md. ARGS="codex --only stop --json"
	PYTHONPATH=tests $(BIN)/python -m agents.real $(ARGS)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv  ## every benchmark (under ten minutes); prints the table and draws benchmarks/scaling.svg
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m benchmarks

docs: venv  ## the documents as a site, in site/
	$(BIN)/mkdocs build --clean --quiet

man: venv  ## the manual pages, in build/man/
	$(BIN)/python docs/man_pages.py build/man

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
