# Every target sets itself up. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
ARGS ?=
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help verify test foreign selfcheck selfcheck-full mutation judgements repeat lint bench lock wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

verify: $(STAMP) ## judge the reference backend on a local stack (ARGS="--help" lists the options)
	@$(BIN)/limpet verify $(ARGS)

test: $(STAMP) ## the project's own tests
	@$(BIN)/python -m pytest tests $(ARGS)

foreign: $(STAMP) ## the Node example, correct and with each of its bugs (25 minutes; needs Node 20)
	@command -v npm >/dev/null || { echo "make foreign needs Node 20 with npm. On Debian: apt install nodejs npm" >&2; exit 1; }
	@$(BIN)/python -m pytest tests/examples -m slow -v $(ARGS)

selfcheck: $(STAMP) ## every planted bug is caught, and blamed on no other guarantee (10 minutes; ARGS="--third 1")
	@PYTHONPATH=tests $(BIN)/python -m planted.selfcheck $(ARGS)

selfcheck-full: $(STAMP) ## the same with all suites for each bug: the whole matrix (an hour)
	@PYTHONPATH=tests $(BIN)/python -m planted.selfcheck --full $(ARGS)

mutation: $(STAMP) ## mutants of the checkers and models against their tests (hours; ARGS="'limpet.checkers.cell.*'" takes some)
	@start=$$(date +%s); $(BIN)/mutmut run --max-children $(JOBS) $(ARGS) || exit 1; \
	  PYTHONPATH=tests $(BIN)/python -m mutation.score; echo "took $$(( $$(date +%s) - start )) s"

judgements: $(STAMP) ## write down anew what the checkers say in each of their tests (tests/checkers/written.py)
	@LIMPET_WRITE_JUDGEMENTS=1 $(BIN)/python -m pytest -q -p no:xdist tests/checkers
	@git diff --stat -- tests/checkers/judgements

N ?= 10
repeat: $(STAMP) ## make verify N times in a row (N=10), and how many were held
	@trap 'exit 130' INT; held=0; for i in $$(seq $(N)); do \
	  start=$$(date +%s); out=$$($(BIN)/limpet verify $(ARGS)); code=$$?; \
	  [ $$code -eq 0 ] && held=$$((held + 1)); \
	  echo "$$i of $(N): exit $$code after $$(( $$(date +%s) - start )) s; $$(echo "$$out" | grep '^limpet: held')"; done; \
	  echo "held $$held of $(N)"; [ $$held -eq $(N) ]

lint: $(STAMP) ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

BENCHES := recording links fanout locks steady takeover start checking races
bench: $(STAMP) ## figures: what things cost, how long takeovers take (ARGS="recording links": these)
	@for name in $(or $(ARGS),$(basename $(notdir $(wildcard $(BENCHES:%=bench/%.py))))); do \
	  $(BIN)/python bench/$$name.py || exit 1; done

lock: ## regenerate requirements.lock from pyproject.toml
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	@uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --no-emit-find-links --index-strategy unsafe-best-match \
	  --custom-compile-command "make lock" -o requirements.lock --quiet

wheel: $(STAMP) ## dist/limpet-*.whl
	@$(BIN)/python -m hatchling build -t wheel

clean: ## remove the environment and what was built
	@rm -rf $(VENV) dist build

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "limpet needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1 || true). Write: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) (once, about half a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
