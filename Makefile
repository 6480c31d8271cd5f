# Each target sets up what it needs in a project-local virtual environment: Python >= 3.11 and make are enough.
#
#   make demo PYTHON=/path/to/python3.12     choose the interpreter of a new environment
#   make test PYTEST_ARGS="-k jacobian"      pass options on
#   make bench TORCH="torch==2.13.0"         choose the PyTorch to install
#   make mutants MUTANTS_ARGS="--count 300"  pass options on

VENV ?= .venv
PYTHON ?=
PYTEST_ARGS ?=
DEMO_ARGS ?=
BENCH_ARGS ?=
MUTANTS_ARGS ?=
TORCH ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: demo test lint bench mutants coverage docs linkcheck screenshots clean distclean help

demo: $(VENV)/.stamp-demo  ## fit real measurements with exact Jacobians
	@$(BIN)/python -m dualdiff $(DEMO_ARGS)

test: $(VENV)/.stamp-test  ## run the tests and the doctests
	$(BIN)/python -m pytest --numprocesses auto $(PYTEST_ARGS)

lint: $(VENV)/.stamp-lint  ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.stamp-bench  ## time against finite differences and the peers (installs them)
	@$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

mutants: $(VENV)/.stamp-test  ## change one token of the engine at a time: does a test notice?
	@$(BIN)/python -m tests.mutation $(MUTANTS_ARGS)

# The rooms that are held to every branch, and the tests that reach them.
ROOMS := dualdiff/kinds/*,dualdiff/tangents.py,dualdiff/ways/*,dualdiff/passes/*
REACHING := $(addprefix tests/,kinds test_tangents.py passes ways compiled custom rules/linalg rules/test_sparse.py test_errors.py \
	engine operators capture tensor/test_graph.py scipy/test_signal.py)

coverage: $(VENV)/.stamp-test  ## list the branches of kinds, tangents, ways and passes that no test reaches
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m coverage run -m pytest -q $(PYTEST_ARGS) $(REACHING)
	$(BIN)/python -m coverage report --include='$(ROOMS)'

docs: $(VENV)/.stamp-docs  ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs docs/_build/html

linkcheck: $(VENV)/.stamp-docs  ## ask whether the links that lead out of the documentation are alive
	$(BIN)/python -m sphinx --keep-going --quiet -b linkcheck docs docs/_build/linkcheck

screenshots: docs  ## look at the built site in Chromium, without network, at two widths
	$(BIN)/python docs/screenshots.py docs/_build/html docs/_build/screenshots

clean:  ## remove what the targets built, but not the environment
	rm -rf build dist docs/_build docs/reference/generated docs/tutorials/*.ipynb docs/_static/pictures .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.coverage .coverage.* .mutation coverage.xml htmlcov
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean  ## remove the environment as well
	rm -rf $(VENV)

help:  ## show this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# The environment, made once with the first candidate that is new enough and can make one.
$(BIN)/python:
	@for python in $(CANDIDATES); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$python" --version)"; \
			exec "$$python" -m venv $(VENV); \
		fi; \
	done; \
	echo "dualdiff needs Python 3.11 or newer, with its venv module (Debian: apt install python3-venv). Looked at:" >&2; \
	for python in $(CANDIDATES); do \
		echo "  $$python: $$("$$python" --version 2>&1 | tail -n 1)" >&2; \
	done; \
	echo "Install one, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	exit 1

# Dependency groups need pip >= 25.1.
$(VENV)/.stamp-pip: | $(BIN)/python
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.stamp-demo: pyproject.toml $(VENV)/.stamp-pip
	@echo "Installing dualdiff into $(VENV)"
	@$(PIP) install --editable '.[cli,plot]'
	@touch $@

$(VENV)/.stamp-test: pyproject.toml $(VENV)/.stamp-pip
	@echo "Installing dualdiff and its test tools into $(VENV)"
	@$(PIP) install --editable '.[cli,plot]' --group test
	@touch $@

$(VENV)/.stamp-lint: pyproject.toml $(VENV)/.stamp-pip
	@echo "Installing dualdiff and its linters into $(VENV)"
	@$(PIP) install --editable '.[cli,plot]' --group lint
	@touch $@

$(VENV)/.stamp-bench: pyproject.toml $(VENV)/.stamp-pip
	@echo "Installing dualdiff and its peers into $(VENV)"
	@$(PIP) install --editable '.[cli,bench]' $(if $(TORCH),'$(TORCH)')
	@touch $@

$(VENV)/.stamp-docs: pyproject.toml $(VENV)/.stamp-pip
	@echo "Installing dualdiff and its documentation tools into $(VENV)"
	@$(PIP) install --editable . --group docs
	@touch $@
