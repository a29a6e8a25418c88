# make demo    install, then train, convert, simulate and compare on embedded data
# make test    install, then run the quick tests
# make check   make tests (all of them) and make lint; CI builds the docs too
# make lint    install, then ruff, pyright, and which subpackage imports which
# make types   install, then build the wheel and ask pyright whether every public name of it has a type: seconds
# make docs    install, then build the documentation site: docs/_build; minutes, for its tutorials run
# make fuzz    install, then try 3,000 random inputs: tables, files, calls, modules; minutes
# make bench   install the other simulators into .venv-bench, then measure: results/bench.json, docs/performance.md
PYTHON ?= python3
BIN := .venv/bin
BENCH := .venv-bench/bin
# files side by side on two cores, each on one thread: threads that wait for one another would take longer; those with
# slow tests first (tests/conftest.py), so that no core waits for them in the end
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test check tests lint types docs fuzz bench clean

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e ".[demo]"
	@touch $@

.venv/.test: .venv/.core
	$(BIN)/pip install --quiet -c constraints.txt -e ".[test]"
	@touch $@

.venv/.check: .venv/.test
	$(BIN)/pip install --quiet -c constraints.txt -e ".[check]"
	@touch $@

.venv-bench/bin/python:
	$(PYTHON) -m venv .venv-bench

.venv-bench/.bench: pyproject.toml constraints.txt | .venv-bench/bin/python
	$(BENCH)/pip install --quiet -c constraints.txt -e ".[bench]"
	$(BENCH)/pip install --quiet -c constraints.txt --no-deps sinabs pbr
# only the simulators' data sets need these two; built for another torch than the one here, they break its import
	$(BENCH)/pip uninstall --quiet --yes torchvision torchaudio
	@touch $@

.venv/.docs: .venv/.core
	$(BIN)/pip install --quiet -c constraints.txt -e ".[docs]"
	@touch $@

demo: .venv/.core
	$(BIN)/spikebayes demo --out demo

test: .venv/.test
	$(TESTS) -m "not slow"

check: tests lint

tests: .venv/.check
	$(TESTS)

lint: .venv/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# the wheel in an environment of its own, beside what .venv has; scikit-learn has no types, and stubs for it stay out of
# .venv, since they are older than it. A score below 100 % is an error
types: .venv/.check
	rm -rf build/types
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/types/wheel .
	$(BIN)/python -m venv --without-pip build/types/venv
	$(BIN)/pip --python build/types/venv/bin/python install --quiet --no-deps -c constraints.txt build/types/wheel/*.whl scikit-learn-stubs
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > $$(echo build/types/venv/lib/python*/site-packages)/others.pth
	PATH="$(CURDIR)/build/types/venv/bin:$$PATH" $(BIN)/pyright --verifytypes spikebayes --ignoreexternal

docs: .venv/.docs
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build

fuzz: .venv/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m fuzz

bench: .venv-bench/.bench
	$(BENCH)/python -m benchmarks

clean:
	rm -rf .venv .venv-bench demo
