# make demo    install, then train, convert, simulate and compare on embedded data
# make test    install, then run the tests
# make check   the tests, ruff and pyright
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check clean

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/.test: .venv/.core
	$(BIN)/pip install --quiet -c constraints.txt -e ".[test]"
	@touch $@

.venv/.check: .venv/.test
	$(BIN)/pip install --quiet -c constraints.txt -e ".[check]"
	@touch $@

demo: .venv/.core
	$(BIN)/spikebayes demo --out demo

test: .venv/.test
	$(BIN)/python -m pytest -q

check: .venv/.check test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

clean:
	rm -rf .venv demo
