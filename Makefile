# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
DEMO   := .venv-demo
VENV   := .venv
PYTEST  = $(VENV)/bin/python -m pytest
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow check format docs bench dist clean

demo: $(DEMO)/.ready  ## the main job on generated data, with the light core only
	BMGD_HOME=build/demo $(DEMO)/bin/bmgd demo --out bmgd-demo.png

test: $(VENV)/.ready  ## the default tests
	$(PYTEST) --numprocesses 2

test-slow: $(VENV)/.ready  ## those on the stand-in data, and the long ones; they say why if they skip
	$(PYTEST) -m slow

check: $(VENV)/.ready  ## format, lint, types, dependencies
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pip check

format: $(VENV)/.ready
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

docs: $(VENV)/.ready  ## the site, in docs/_build/html
	$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going -b html docs docs/_build/html

bench: $(VENV)/.ready  ## speed and memory, as ratios
	$(VENV)/bin/python benchmarks/run.py

dist: $(VENV)/.ready  ## wheel and sdist, in dist/
	$(VENV)/bin/python -m build

$(DEMO)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python $(PIP_INSTALL) --editable .
	touch $@

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) --editable ".[dev]"
	touch $@

clean:
	rm -rf $(DEMO) $(VENV) build dist docs/_build bmgd-demo.png .pytest_cache .mypy_cache .ruff_cache
