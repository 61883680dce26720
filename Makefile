# A stranger's way in: `make demo` and `make test` set up everything they need below .venv.

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin

.PHONY: demo test lint bench completions format clean

demo: .venv/installed
	$(BIN)/python demo/run.py

test: .venv/installed
	$(BIN)/python -m pytest -n auto
	$(BIN)/python -m pytest -n auto --way cached --ignore tests/functional/test_shim.py
	$(BIN)/python -m pytest -n auto --way standby

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python benchmarks/run.py

completions: .venv/installed
	$(BIN)/python completions/generate.py

# After a new awscli: what a start needs of its models.
models: .venv/installed
	$(BIN)/python -c 'import json, ssmgate.aws.models as m; \
	    json.dump(m.cut_down(), open(m.CUT_DOWN, "w"), separators=(",", ":"))'

format: .venv/installed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv dist

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@
