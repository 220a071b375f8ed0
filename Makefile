# SPDX-License-Identifier: Apache-2.0
# Each target makes the environment that it needs; a second run finds it there.

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
ARGS   ?=
# Not empty where `make test` has just run the documented commands, too.
TESTED ?=

BIN  := $(VENV)/bin
# The Ethereum node that tests talk to: a package of npm's, into build/. Without npm its tests say so.
ANVIL := build/anvil/node_modules/@foundry-rs
RUN  := $(VENV)/.stamp-run
DEV  := $(VENV)/.stamp-dev
MADE := Makefile pyproject.toml src/tallystick/__init__.py tools/environment.sh

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak docs format contracts clean

help:
	@printf 'make demo    see it work: record, verify, break, a daemon, a proxy, a promise, a solver, a chain  (ARGS=DIR keeps files)\n'
	@printf 'make test    all tests                        (ARGS="-k chain" goes to pytest)\n'
	@printf 'make check   lint, format, types, floors, generated docs, documented commands\n'
	@printf 'make bench   speed, side by side with the other implementation and with the floor\n'
	@printf 'make soak    properties and memory, long      (TALLY_EXAMPLES=10000)\n'
	@printf 'make docs    write docs/reference again, from the code\n'
	@printf 'make contracts  compile contracts/ into the artefacts that the package carries\n'
	@printf 'make format  let ruff format and fix what it can\n'
	@printf 'make clean   remove the environment and what tools left behind\n\n'
	@printf 'PYTHON=%s  VENV=%s  JOBS=%s  (each can be set on the command line)\n' \
		'$(PYTHON)' '$(VENV)' '$(JOBS)'

$(RUN): $(MADE)
	@tools/environment.sh $(VENV) $(PYTHON) mcp,onchain,solver
	@touch $@

$(DEV): $(MADE)
	@tools/environment.sh $(VENV) $(PYTHON) dev
	@touch $(RUN) $@

$(ANVIL):
	@if command -v npm >/dev/null 2>&1; then \
		printf 'environment: installing anvil into build/anvil (once)\n'; \
		npm install --silent --no-save --no-audit --no-fund --ignore-scripts \
			--prefix build/anvil @foundry-rs/anvil@1.7.1 >/dev/null || \
			echo 'environment: npm could not install anvil' >&2; \
	fi

demo: $(RUN)
	@$(BIN)/python examples/demo.py $(ARGS)

test: $(DEV) | $(ANVIL)
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(DEV)
	@echo '== ruff check';        $(BIN)/ruff check .
	@echo '== ruff format';       $(BIN)/ruff format --check .
	@echo '== mypy';              $(BIN)/mypy $(wildcard src tools tests examples bench)
	@echo '== import-linter';     $(BIN)/lint-imports --no-logo
	@echo '== docs/reference';    $(BIN)/python tools/reference.py --check && $(BIN)/python tools/stub.py --check
	@echo '== packages/ts';       $(BIN)/python -m tools.typescript --check
	@if [ -n "$(TESTED)" ]; then echo '== documented commands: run by the tests'; else \
		echo '== documented commands'; $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal tests/test_docs.py; \
	fi

bench: $(DEV)
	@status=0; \
	$(BIN)/python bench/main.py $(ARGS) || status=1; \
	$(BIN)/python bench/store.py || status=1; \
	$(BIN)/python bench/postgres.py || status=1; \
	$(BIN)/python bench/evidence.py || status=1; \
	$(BIN)/python bench/gate.py || status=1; \
	exit $$status

soak: $(DEV) | $(ANVIL)
	@TALLY_CHAIN_EXAMPLES=$${TALLY_CHAIN_EXAMPLES:-400} \
		$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'soak or not soak' --hypothesis-profile=soak \
		tests/properties tests/systems tests/faults tests/contracts $(ARGS)
	@$(BIN)/python bench/evidence.py --files 100000 --bytes 100000 --rounds 1
	@$(BIN)/python bench/store.py --receipts $${TALLY_STORE_RECEIPTS:-10000000}

docs: $(DEV)
	@$(BIN)/python tools/reference.py && $(BIN)/python tools/stub.py
	@$(BIN)/python -m tools.typescript

format: $(DEV)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

contracts: $(DEV)
	@$(BIN)/python tools/contracts.py

clean:
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
