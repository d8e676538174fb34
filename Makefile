# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
DEMO   := .venv-demo
VENV   := .venv
LOWEST := .venv-lowest
PEER_VENV := build/peer/venv
PYTEST  = $(VENV)/bin/python -m pytest
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-slow test-wheel test-lowest release-check tables findings faults coverage mutants check format docs bench dist clean

demo: $(DEMO)/.ready  ## the main job on generated data, with the light core only
	BMGD_HOME=build/demo $(DEMO)/bin/bmgd demo --out bmgd-demo.png

test: $(VENV)/.ready  ## the default tests
	$(PYTEST) --numprocesses 2

test-slow: $(VENV)/.ready  ## those on the stand-in data, and the long ones; they say why if they skip
	$(PYTEST) -m slow

test-wheel: dist  ## the default tests, on the wheel as users install it
	rm -rf build/wheel
	$(VENV)/bin/python $(PIP_INSTALL) --no-deps --target build/wheel dist/*.whl
	TEST_WHEEL="$(CURDIR)/build/wheel" PYTHONPATH="$(CURDIR)/build/wheel" $(PYTEST) --numprocesses 2

# The filter: typer 0.19 calls what click 8.5 is going to drop.
test-lowest: $(LOWEST)/.ready  ## the core's tests, with the lowest versions that pyproject.toml allows
	$(LOWEST)/bin/python -m pip check
	$(LOWEST)/bin/python -m pytest --numprocesses 2 -W "ignore:'click:DeprecationWarning"

# Each program gets an environment of its own in build/clients, about 13 GB in all, and so does each
# docs page in build/pages, up to 6 GB and removed afterwards.
release-check: dist  ## the longest tests, the programs that read our exports, the docs' code as installed
	$(PYTEST) -m release
	nice $(VENV)/bin/python tests/clients/run.py $(CLIENTS)
	nice $(VENV)/bin/python tests/pages.py $(PAGES)
	$(MAKE) tables

tables: build/readers/.ready  ## the docs' tables of what other readers make of files
	build/readers/bin/python -m pytest tests/test_image_readers.py

findings:  ## what other programs do on valid input; see findings/README.md
	for script in findings/*.sh; do echo "$$script"; bash "$$script" || exit 1; done

faults: $(VENV)/.ready  ## each fault many times, at random moments; prints how many were survived
	$(PYTEST) -m faults

coverage: $(VENV)/.ready  ## the branches of src/ that no default test takes; see tests/README.md
	mkdir -p build/coverage
	chmod a+rwx build/coverage  # children that gave up root's rights write there, too
	$(PYTEST) --numprocesses 2 --cov --cov-report=term-missing

mutants: $(VENV)/.ready  ## small faults put into the code: do the tests see them? See tests/README.md
	$(VENV)/bin/python $(PIP_INSTALL) mutmut
	$(VENV)/bin/python -m mutmut run
	$(VENV)/bin/python -m mutmut results

check: $(VENV)/.ready  ## format, lint, types, spelling, habits of a maintained package, dependencies
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/codespell
	$(VENV)/bin/repo-review . --show errskip
	$(VENV)/bin/python -m pip check

format: $(VENV)/.ready
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

docs: $(VENV)/.ready  ## the site, in docs/_build/html
	$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going -b html docs docs/_build/html

# `make bench PEER=0` leaves the peer out (6.4 GB to install); BENCH="--repetitions 3" and such are passed on.
bench: $(VENV)/.ready $(if $(filter 0,$(PEER)),,$(PEER_VENV)/.ready)  ## speed and memory, as ratios
	$(VENV)/bin/python benchmarks/run.py $(if $(filter 0,$(PEER)),--no-peer) \
		--json build/bench/figures.json $(BENCH)

dist: $(VENV)/.ready  ## sdist and the wheel made of it, in dist/; the same bytes each time
	rm -rf dist
	$(VENV)/bin/python -m build --no-isolation

$(DEMO)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python $(PIP_INSTALL) --editable .
	$(DEMO)/bin/python -m pip check
	touch $@

$(PEER_VENV)/.ready: benchmarks/peer/environment.sh benchmarks/peer/requirements.txt benchmarks/peer/constraints.txt
	PYTHON=$(PYTHON) sh benchmarks/peer/environment.sh $(PEER_VENV)

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) --upgrade "pip>=25.1"  # the first that knows groups
	$(VENV)/bin/python $(PIP_INSTALL) --editable ".[all]" --group dev
	touch $@

build/readers/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv build/readers
	build/readers/bin/python $(PIP_INSTALL) --upgrade "pip>=25.1"
	build/readers/bin/python $(PIP_INSTALL) --editable . --group readers
	touch $@

$(LOWEST)/.ready: pyproject.toml constraints.txt tests/lowest.py
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python tests/lowest.py > $(LOWEST)/lowest.txt
	grep -E '^(hypothesis|pytest|pytest-xdist)==' constraints.txt >> $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --requirement $(LOWEST)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

clean:
	rm -rf $(DEMO) $(VENV) $(LOWEST) build dist docs/_build docs/_generated docs/notebooks mutants bmgd-demo.png .hypothesis .pytest_cache .mypy_cache .ruff_cache
