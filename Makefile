# Everything a developer types. Each target creates .venv first when it is missing; nothing else is needed but Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin

# One more than two processors: much of a test's time is waiting for programs.
WORKERS ?= 3

# What the tests start, they start hundreds of times: compile it once, also where the machine would rather have nothing written.
unexport PYTHONDONTWRITEBYTECODE
COMPILE = $(BIN)/python -m compileall -q client/clawlog daemon/clawlogd backend/clawlog_backend

NEW_ENOUGH := import sys; sys.version_info >= (3, 11) or sys.exit("clawlog needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.11")

.PHONY: venv demo test pythons faults simulate agents lint format bench bench-peers docs man dist lock sbom clean
.DEFAULT_GOAL := venv

venv: .venv/.stamp  ## .venv with the project (editable) and all tools

.venv/.stamp: pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)'
	@echo "Installing clawlog, its libraries and the developers' tools into .venv (once; a minute or two) …"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(COMPILE)
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
	@$(COMPILE)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(if $(COVERAGE),--cov --cov-report=term-missing:skip-covered)

pythons: venv  ## every test on each Python that is installed, of those that pyproject.toml names. ARGS="-s newest" runs a quick part on the newest alone
	$(BIN)/nox $(ARGS)

faults: venv  ## every fault in its long form (over half an hour); prints the table of docs/reliability.md
	PYTHONPATH=tests $(BIN)/python -m faults
	CLAWLOG_TEST_ENGINES=all $(BIN)/python -m pytest -q --no-cov tests/integration/backend \
	  tests/browser/test_stop.py tests/browser/test_connection.py tests/browser/test_list.py -k postgresql
	CLAWLOG_TEST_LOOP=uvloop $(BIN)/python -m pytest -q --no-cov tests/contract tests/integration
	CLAWLOG_TEST_SERVERS=200 $(BIN)/python -m pytest -q --no-cov tests/unit/daemon/upstream/contracts/test_discovery.py
	cd tests && PYTHONPATH=. ../$(BIN)/python -m simulation
	cd tests && PYTHONPATH=. ../$(BIN)/python -m simulation --every-mutation --seeds 200 --hours 2

SEEDS ?= 1000
HOURS ?= 24

simulate: venv  ## the daemon simulated: SEEDS=1000 HOURS=24; a seed that fails is told with the command that replays it
	cd tests && PYTHONPATH=. ../$(BIN)/python -m simulation --seeds $(SEEDS) --hours $(HOURS)

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

PART ?= 10

bench: venv  ## every benchmark (under ten minutes); prints the table and draws benchmarks/scaling.svg. PART=1 with databases ten times as large
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	CLAWLOG_BENCH_PART=$(PART) $(BIN)/python -m benchmarks

bench-peers: venv  ## what others cost beside ours, in environments of their own (1 GB, a quarter of an hour at most); writes docs/compared.md. ARGS="curl mlflow"
	$(BIN)/python -m benchmarks.peers $(ARGS)

docs: venv  ## the documents as a site, in site/
	$(BIN)/mkdocs build --clean --quiet

man: venv  ## the manual pages, in build/man/
	$(BIN)/python docs/man_pages.py build/man

dist: venv  ## the wheel and the sdist, in dist/, checked as an index would
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/twine check --strict dist/*

# What a user may add; the rest are a developer's.
EXTRAS := fast mcp notify otel postgres
COMPILE_LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
  --custom-compile-command "make lock" $(ARGS)

lock: venv  ## requirements.lock: every library at one version, with hashes, for all Pythons that the project takes; requirements-extras.lock with all extras
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[deploy]'
	$(COMPILE_LOCK) --output-file requirements.lock pyproject.toml
	echo 'psycopg[binary]' | $(COMPILE_LOCK) --constraint requirements.lock $(EXTRAS:%=--extra %) --output-file requirements-extras.lock pyproject.toml -

sbom: venv  ## build/sbom.json and build/sbom-extras.json: what each lock brings, as CycloneDX
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[deploy]'
	@mkdir -p build
	for each in "" -extras; do $(BIN)/python -W ignore::UserWarning -m cyclonedx_py requirements --pyproject pyproject.toml \
	  --output-reproducible --sv 1.6 -o build/sbom$$each.json requirements$$each.lock || exit 1; done

clean:
	rm -rf .venv .nox build .pytest_cache .mypy_cache .ruff_cache .hypothesis htmlcov dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
