# Quarterdeck: everything a newcomer needs is `make run` and `make test`.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# most tests wait more than they compute (processes, disks, pauses), so there are more workers than cores
PYTEST_ARGS ?= -n 4 --dist worksteal

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# bytecode is kept: the tests start hundreds of processes, and every worker reads every test
export PYTHONDONTWRITEBYTECODE :=

# uv installs in seconds; where it cannot be had or cannot reach the packages, pip does the same from the same pins
define install_pins
if [ -x $(BIN)/uv ] && $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r $(1); then :; \
else echo "Installing with pip instead (a few minutes, once)…"; \
$(BIN)/python -m pip install -qq --require-hashes -r $(1); fi
endef

# the types keep one core busy: meanwhile the other one compiles tests and kernels, once for all workers
read_tests = $(BIN)/python -m pytest --collect-only -qq; \
	$(BIN)/python -c "from engine.venues.native.books import loading; loading.load(); \
	from engine.backtest.kernel import loop; loop.load()"

.PHONY: run install dev test check format bench peers parity chaos soak pictures lock clean help
.DELETE_ON_ERROR:
.NOTPARALLEL:

run: install ## start Quarterdeck (ARGS="…" for its options)
	@$(BIN)/quarterdeck $(ARGS)

install: $(VENV)/.core $(VENV)/.project ## prepare .venv with what Quarterdeck needs to run

dev: $(VENV)/.dev $(VENV)/.project ## prepare .venv with the tools for development as well

test: dev ## format, lint, types, import contracts, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@echo "$(BIN)/mypy"; { $(read_tests); } >/dev/null 2>&1 & reading=$$!; \
	$(BIN)/mypy; found=$$?; wait $$reading; exit $$found
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: test ## the same as test

format: dev ## format the code and apply the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev ## run the benchmarks and print them as a table (ARGS="…" to choose)
	@$(BIN)/python -m tests.bench $(ARGS)

peers: dev ## install other backtesters, each into an environment of its own, and run the workloads beside ours (ARGS="…" for run)
	@$(BIN)/python -m tests.bench.peers install
	@$(BIN)/python -m tests.bench.peers run $(ARGS)

parity: dev ## hold the compiled kernel to the event path on whole files of recorded candles (ARGS="…" for some)
	@$(BIN)/python -m tests.parity $(ARGS)

chaos: dev ## kill engines at every point and at random, cut the power, storm on the wires, for two hours or three (ARGS="…" to choose)
	@$(BIN)/python -m tests.chaos $(ARGS)

soak: dev ## two hours of simulated market with bots and consoles that come and go; memory must not grow (ARGS="…")
	@$(BIN)/python -m tests.soak $(ARGS)

pictures: dev ## make the pictures of the documentation anew (docs/screenshots)
	@$(BIN)/python -m tests.kit.pictures

lock: | $(BIN)/python ## resolve the pins of requirements/ anew
	@test -x $(BIN)/uv || $(BIN)/python -m pip install -qq uv
	$(LOCK) requirements/uv.in --output-file requirements/uv.txt
	$(LOCK) pyproject.toml requirements/build.in --output-file requirements/core.txt
	$(LOCK) pyproject.toml requirements/build.in --extra dev --constraints requirements/core.txt --output-file requirements/dev.txt
	$(LOCK) requirements/bench.in --output-file requirements/bench.txt

LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header

clean: ## remove .venv and everything the tools have left behind
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf htmlcov .coverage .coverage.* snapshot_report.html tests/bench/out
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

$(BIN)/python:
	@for python in $(PYTHON) python3.11 python3 python3.12 python3.13; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating the virtual environment $(VENV)…"; \
	    exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "Quarterdeck needs Python 3.11 or newer with its venv module (Debian: apt install python3 python3-venv)."; \
	exit 1

$(VENV)/.uv: requirements/uv.txt | $(BIN)/python
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements/uv.txt \
	  || echo "uv could not be installed; pip does its work."
	@touch $@

$(VENV)/.core: requirements/core.txt $(VENV)/.uv
	@echo "Installing dependencies (about a minute, once)…"
	@$(call install_pins,requirements/core.txt)
	@touch $@

# the development set contains the core set at the same pins, so it stands for both
$(VENV)/.dev: requirements/dev.txt requirements/core.txt $(VENV)/.uv
	@echo "Installing dependencies and development tools (about a minute, once)…"
	@$(call install_pins,requirements/dev.txt)
	@touch $(VENV)/.core $@

# editable through a plain .pth file: no import hook that every start would pay for
$(VENV)/.project: pyproject.toml | $(VENV)/.core
	@echo "Installing the quarterdeck command into $(VENV)…"
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@rm -rf build
	@touch $@
