# The house's verbs. `make` alone lists them.
PY ?= .venv/bin/python

help:   ## this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'
setup:  ## a virtual environment with everything that developing needs
	python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]'
test:   ## the fast tests
	$(PY) -m pytest
slow:   ## the slow tests
	$(PY) -m pytest -n 0 -m slow
browser: ## the studio, driven in a Chromium
	$(PY) -m pytest -n 0 -m browser
lint:   ## linter, formatter and type checker, changing nothing
	$(PY) -m ruff check . && $(PY) -m ruff format --check . && $(PY) -m mypy
fix:    ## whatever the linter and the formatter can mend by themselves
	$(PY) -m ruff check --fix . && $(PY) -m ruff format .
docs:   ## the pages that are written by the code: docs/cli.md
	$(PY) -m docs.build
serve:  ## a server for this folder, with the studio, on this machine alone
	$(PY) -m misora serve
ci:     ## the whole proof in a clean copy: both README lines, slow tests, lint
	.ci/run

.PHONY: help setup test slow browser lint fix docs serve ci
