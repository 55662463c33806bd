# Two doors for a newcomer: `make demo` shows an agent logging in to a site, `make test` proves everything.
# Both need Python 3.11 or newer, a Rust toolchain (with a C compiler) and make; the rest they make themselves in .venv.
# With Node.js 20.9 or newer and npm the server has its web portal, and is built without it otherwise.

PYTHON ?= python3
RUN = .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench clean

help:
	@echo "make demo    an agent logs in to a site, step by step, on real engines"
	@echo "make test    every check and every test, as CI runs them"
	@echo "make bench   speed, side by side with peers"
	@echo "make clean   remove everything that the above made"

setup:
	@$(PYTHON) tools/bootstrap.py

demo: setup
	@$(RUN) tools/demo

test: setup
	@$(RUN) -m nox

bench: setup
	@$(RUN) -m nox -s bench

clean:
	rm -rf .venv .nox build dist target .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	rm -rf packages/lime-portal/node_modules packages/lime-portal/.next packages/lime-portal/out packages/lime-server/src/lime_server/portal
