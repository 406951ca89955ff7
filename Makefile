# Each target is a plain line or two that also work without make; CONTRIBUTING.md lists both forms.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.keepalign-setup

.PHONY: setup demo test lint types unit lab bench scenarios docs picture lock clean

# Everything the two commands need: the locked environment in .venv and Apache's program. Where there is a C
# compiler, `diagnose` gets its compiled loop.
setup: $(STAMP)
	@sh scripts/ensure-servers.sh
	@sh scripts/build-scanner.sh

$(STAMP): requirements/uv.txt requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "keepalign: $(PYTHON) is missing; install Python 3.11 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "keepalign: $(PYTHON) is older than 3.11; call make PYTHON=python3.11 (or newer)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "keepalign: $(PYTHON) has no venv; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The main job: five causes made to happen behind a faithful balancer, fixed, and proved gone.
demo: setup
	$(BIN)/keepalign demo

test: setup lint types unit

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

# Single servers and the balancer mostly wait for their timers, and Spark is in no hurry; proofs and scenarios
# under load want the machine for themselves.
BESIDE := tests/lab tests/conformance tests/readers tests/logs/engines tests/logs/witness
unit:
	$(BIN)/python -m pytest -m "not lab" -n auto --maxprocesses 4 --dist worksteal
	$(BIN)/python -m pytest -m lab -n 3 --dist loadfile $(BESIDE)
	$(BIN)/python -m pytest -m lab $(BESIDE:%=--ignore=%)

# Only the tests that start real servers.
lab: setup
	$(BIN)/python -m pytest -m lab

bench: setup
	$(BIN)/python -m bench

# Every scenario on every server it names, ten times: the table of bench/RESULTS.md. About an hour.
scenarios: setup
	$(BIN)/python -m bench scenarios

# Text that is generated and committed: rule pages, CLI help, JSON schema. A test fails when it is stale.
docs: setup
	$(BIN)/python -m docs.generate

# The picture of the README, drawn from a real run.
picture: setup
	$(BIN)/python -m docs.picture

# New versions of what we depend on; no addresses in the lock.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header --extra lab --extra logs --extra aws --extra spark --group dev pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
