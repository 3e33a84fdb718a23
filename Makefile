# Needs Python 3.10+, make and git; everything else is put into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Every command of a test starts a Python: what it imports is compiled once.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode
unexport PYTHONDONTWRITEBYTECODE

# Most of the time the tests wait for swarms: more of them at a time than there are cores.
JOBS ?= 6
# Those of the inner loop wait less, but each waits for commands that it starts.
QUICK_JOBS ?= 8
# What make pythons runs, and on which.
SUITE ?= test
PYTHONS ?= 3.10 3.11 3.12 3.13
# Which emulated machines boot.
KERNELS ?= kernels
PROCESSORS ?= processors

.PHONY: help setup demo test test-loaded no-swarm pythons kernels one-kernel processors quick lint generate pictures bench clean

help:
	@echo "make demo         boot a real swarm, show its reports, cause a breach, take all down"
	@echo "make test         run the linters and every test (root: the real-kernel and real-swarm ones too)"
	@echo "make quick        run the linters and the tests that need no root, swarm or package registry, but the"
	@echo "                  few slow ones (a minute)"
	@echo "make no-swarm     run the tests that need no swarm and no package registry"
	@echo "make pythons      run make test on Python 3.10, 3.11, 3.12 and 3.13 (an hour; PYTHONS=3.12, SUITE=no-swarm)"
	@echo "make kernels      run the live tests on Debian's kernels, in emulated machines (root, hours; KERNELS=6.12-cloud,"
	@echo "                  see docs/kernels.md)"
	@echo "make one-kernel   run those of links and drivers that not every kernel has, on one of them (root, minutes)"
	@echo "make processors   run the readers' tests on other processors, in emulated machines (root, hours)"
	@echo "make test-loaded  run make test beside 5,000 sockets, 300 Mbps over lo and a busy process"
	@echo "make lint         run ruff and mypy alone"
	@echo "make generate     write the generated tables of the documentation and the tests' golden files"
	@echo "make pictures     take the pictures of the documentation, and the demo's output for the README (root)"
	@echo "make bench        measure against the reference agent and the system's tools (root, minutes)"
	@echo "make clean        remove .venv and everything that was built"

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed; name one with make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	@$(BIN)/python -m pytest --collect-only -qq > /dev/null  # compiles the tests once, not in every job
	@touch $@

demo: setup
	@$(BIN)/network-health demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	tests/tools.sh
	$(BIN)/python -m pytest -n $(JOBS) --max-worker-restart=0

quick: lint
	QUICK=1 $(BIN)/python -m pytest -n $(QUICK_JOBS) --max-worker-restart=0 -m "not root and not swarm and not packaging and not slow"

no-swarm: lint
	tests/tools.sh
	$(BIN)/python -m pytest -n $(JOBS) --max-worker-restart=0 -m "not swarm and not packaging"

pythons: setup
	@$(BIN)/python -m tests.packaging.pythons $(SUITE) $(PYTHONS)

kernels: setup
	tests/tools.sh machines
	$(BIN)/python -m tests.machines $(KERNELS)

one-kernel: setup
	tests/tools.sh machines
	$(BIN)/python -m tests.machines one-kernel

processors: setup
	tests/tools.sh machines
	$(BIN)/python -m tests.machines $(PROCESSORS)

test-loaded: setup
	$(BIN)/python -m tests.load $(MAKE) test

generate: setup
	$(BIN)/python -m tests.reporting.test_report
	$(BIN)/python -m tests.export.test_metric_families
	$(BIN)/python -m tests.test_fleet
	$(BIN)/python -m tests.test_docs
	$(BIN)/python -m network_health.cli.reference > docs/cli.md

pictures: setup
	$(BIN)/python -m bench.pictures

bench: setup
	$(BIN)/python -m bench

clean:
	rm -rf .venv build dist bench/build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
