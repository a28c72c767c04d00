# make serve   install into .venv and start the server     (ARGS="--port 9000" is passed on)
# make test    install the tools too and run every test    (ARGS="tests/pure -k context" is passed on)
# make check   everything that CI asks for: lint, types, contracts, sizes, tests
# make bench   measure it against an instant model     (ARGS=--quick for a short look)
# make fix     let the linter and the formatter change what they can
# make clean   remove .venv and every cache

BIN := .venv/bin
SETUP_INPUTS := pyproject.toml uv.lock scripts/setup.sh

# Test processes: a worker per core. "make test WORKERS=0" runs everything in one process, as a debugger needs it.
WORKERS ?= auto

# Tests start many processes, which must not compile what they import each time anew.
test: export PYTHONDONTWRITEBYTECODE :=

# The tests that drive the TypeScript SDK need its packages; without Node those tests say so themselves.
NPM := $(shell command -v npm 2>/dev/null)
NODE_LOCK := $(wildcard tests/typescript/package-lock.json)
NODE_STAMP := $(if $(and $(NPM),$(NODE_LOCK)),tests/typescript/node_modules/.installed)

LETTA_CODE_STAMP := tests/letta_code/.venv/.installed

.PHONY: serve test bench check lint types contracts sizes fix clean

serve: .venv/.installed
	$(BIN)/loci server $(ARGS)

test: .venv/.installed-dev $(NODE_STAMP) $(LETTA_CODE_STAMP)
	@# What measures time runs first and alone. Exit status 5: there is no such test among those asked for.
	$(BIN)/python -m pytest -m timing $(ARGS) || test $$? -eq 5
	$(BIN)/python -m pytest -m "not timing" --numprocesses $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint types contracts sizes test

lint: .venv/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/.installed-dev
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: .venv/.installed-dev
	$(BIN)/lint-imports --no-logo

sizes: .venv/.installed-dev
	$(BIN)/python scripts/sizes.py

bench: .venv/.installed-dev
	$(BIN)/python -m bench $(ARGS)

fix: .venv/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv .hypothesis .import_linter_cache .pytest_cache .ruff_cache tests/typescript/node_modules tests/letta_code/.venv

.venv/.installed: $(SETUP_INPUTS)
	scripts/setup.sh
	@touch $@

.venv/.installed-dev: $(SETUP_INPUTS)
	scripts/setup.sh dev
	@touch .venv/.installed $@

tests/typescript/node_modules/.installed: $(NODE_LOCK)
	cd tests/typescript && $(NPM) ci --no-audit --no-fund
	@touch $@

# Without it (no network, or a machine that it is not made for) the other tests still run, and its own say what is missing.
$(LETTA_CODE_STAMP): tests/letta_code/requirements.txt | .venv/.installed-dev
	-scripts/setup.sh letta-code && touch $@
