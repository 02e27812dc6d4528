# Aftercall. `make help` lists what there is. Everything lives in .venv and a cache folder; nothing is installed on the host.
SHELL := /bin/bash
# Compiled once, not by every process of the tests anew, whatever the caller's shell says.
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
# Debian's own Python first: it can be read by the unprivileged user our processes become when started as root.
PYTHON ?= $(shell for p in /usr/bin/python3.11 python3.11 python3; do $$p -c 'import sys,ensurepip,venv; sys.exit(sys.version_info[:2]!=(3,11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
PACKAGES := core pbx orders_bridge ivr routing recordings desk app
HOME_DIR ?= var/aftercall
VENV_STAMP := .venv/.stamp-$(shell cat requirements/dev.txt pyproject.toml | sha256sum | cut -c1-16)
CONSOLE_SRC := $(shell find app/console -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -name '*.png' -not -name '*.md' 2>/dev/null | sort)
CONSOLE_STAMP := app/console/dist/.stamp-$(shell cat $(CONSOLE_SRC) 2>/dev/null | sha256sum | cut -c1-16)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV_STAMP) $(CONSOLE_STAMP) ## make .venv and build everything

$(VENV_STAMP):
	@test -n "$(PYTHON)" || { echo "Python 3.11 with venv is needed: apt-get install python3.11-venv"; exit 1; }
	@echo "setting up .venv with $(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip -q install --no-warn-script-location --require-hashes -r requirements/uv.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt \
	  || $(BIN)/python -m pip -q install --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip -q install --no-deps --no-build-isolation -e .
	@# Once for all: the unprivileged user we become may not write here, and every start would compile everything again.
	@$(BIN)/python -m compileall -q -j 0 .venv/lib $(PACKAGES) >/dev/null || true
	@rm -f .venv/.stamp-*; touch $@

$(CONSOLE_STAMP): $(VENV_STAMP)
	@if [ -f app/console/package.json ]; then $(BIN)/python -m app.console_build; fi
	@mkdir -p app/console/dist; rm -f app/console/dist/.stamp-*; touch $@

demo: setup ## a real call from dialling to transcript, on a world of its own
	@$(BIN)/aftercall demo

up: setup ## run the product for real use (HOME_DIR=var/aftercall)
	@$(BIN)/aftercall run --home $(HOME_DIR)

unit: setup ## lint, then the fast tier: rules, and protocol edges with scripted fakes
	@# Looked through once while lint has the other core, so that not each of the processes compiles all of them.
	@$(BIN)/python -m pytest tests/unit tests/edge -q --collect-only >/dev/null 2>&1 & $(MAKE) --no-print-directory lint && wait
	@$(BIN)/python -m pytest tests/unit tests/edge -q -n 3

test: unit ## everything: the fast tier, then real Asterisk, Redis, databases, Vosk, Chromium
	@# On a busy machine a real telephone can be late: what failed has one more chance, alone, and is named either way.
	@$(BIN)/python -m pytest tests/real -q || { echo "what failed, once more:"; $(BIN)/python -m pytest tests/real -q --lf --lfnf=none; }

screenshot: setup ## make the README's pictures anew, of a real call in a real browser
	@AFTERCALL_SCREENSHOT=1 $(BIN)/python -m pytest tests/real/console/test_one_call.py -q -k pictures

bench: setup ## side-by-side measurements, one JSON line per figure (B=B1,B4 to choose)
	@$(BIN)/python -m bench $(if $(B),--only $(B))

drill: setup ## failure drills with their ten oracles (F=1,8 to choose, N=3 times each); the table goes to drills.json
	@$(BIN)/aftercall drill --table drills.json $(if $(F),--fault $(F)) $(if $(N),--times $(N))

soak: setup ## calls of every kind for a while (M=15 minutes, R=5 a second); then nothing has grown and nothing differs
	@$(BIN)/aftercall soak $(if $(M),--minutes $(M)) $(if $(R),--rate $(R))

lint: setup ## ruff, mypy, floors
	@$(BIN)/ruff check -q . && $(BIN)/ruff format -q --check . && $(BIN)/mypy -p core -p pbx -p orders_bridge -p ivr -p routing -p recordings -p app --no-error-summary && $(BIN)/lint-imports --no-cache | tail -4

fmt: setup ## put the code in shape
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

prompts: setup ## render the product's own prompts anew (needs the voices; results are kept in the repository)
	@$(BIN)/python -m app.prompts_build

lock: setup ## resolve the dependencies anew into requirements/*.txt
	@for f in runtime plots dev uv; do $(BIN)/uv pip compile -q --upgrade --generate-hashes --no-header --python-version 3.11 requirements/$$f.in -o requirements/$$f.txt; done

clean: ## remove what was built here (the cache of downloaded programs stays)
	@rm -rf .venv app/console/dist app/console/node_modules build dist

.PHONY: help setup demo up unit test screenshot bench drill soak lint fmt prompts lock clean
