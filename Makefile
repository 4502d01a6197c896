# One command per need. `make demo` and `make test` need nothing before them on a machine with Python 3.11 and Node 20.
.DEFAULT_GOAL := help
.PHONY: help setup demo dev test check check-vercel bench sql types docs lock dev-supabase clean

BIN := .venv/bin
SETUP := .venv/.ready

help:            ## this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

setup: $(SETUP)  ## installs everything into .venv and node_modules, pinned by the lock files

$(SETUP): requirements.lock package-lock.json pyproject.toml
	@scripts/setup
	@touch $@

demo: $(SETUP)   ## a real job on real files, watched live; ends by itself when not on a terminal
	@$(BIN)/milepost demo

dev: $(SETUP)    ## the local stack: Postgres, PostgREST, Realtime stand-in, functions, page
	@$(BIN)/milepost dev

test: $(SETUP)   ## every test, with real Postgres, PostgREST, websockets and Chromium
	@scripts/install-chromium
	@scripts/install-promtool
	@$(BIN)/pytest

check: $(SETUP)  ## formatting, lints, types, built files up to date
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@for suite in tests/*/; do $(BIN)/mypy $$suite || exit 1; done
	@$(BIN)/python -m milepost.local.schema --check
	@$(BIN)/python scripts/reference.py --check

check-vercel: $(SETUP)  ## builds for Vercel with its own CLI, without an account, and asks what was built
	@scripts/check-vercel

bench: $(SETUP)  ## the benchmarks of docs/benchmarks.md
	@$(BIN)/python -m benchmarks

sql: $(SETUP)    ## builds sql/complete-schema.sql and the first migration from sql/schema
	@$(BIN)/python -m milepost.local.schema

types: $(SETUP)  ## builds supabase/types, for TypeScript and Python, from sql/schema
	@$(BIN)/python scripts/database_types.py

lock: $(SETUP)   ## pins what pyproject.toml asks for, anew
	@scripts/lock

docs: $(SETUP)   ## writes docs/api.md from what the functions serve
	@$(BIN)/python scripts/reference.py

dev-supabase: $(SETUP)  ## the functions beside Supabase's own containers; needs Docker
	@scripts/dev-supabase

clean:           ## removes what setup made
	rm -rf .venv node_modules public/vendor .vercel-cli
