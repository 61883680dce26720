# `make demo` and `make test` set up everything they need below .venv.

PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin

.PHONY: demo test test-all fuzz fuzz-parsers soak soak-sandbox soak-signals mutants fresh lint bench completions reference constraints packages deb release models awscli sandbox-operations format clean

demo: .venv/installed-demo
	$(BIN)/python demo/run.py

test: .venv/installed-test
	$(BIN)/python -m pytest -n auto --durations 15 --bare-starts 1000

# Each night and before a release: every row, in all ways, in processes of its own; the installers.
test-all: .venv/installed-test
	$(BIN)/python -m pytest -n auto --full --durations 15
	PYTHONPATH=tests $(BIN)/python tests/as_ordinary_user.py
	$(BIN)/python tests/installers.py

# For hours: many examples of everything that hypothesis tries, and each parser of text from outside
# for FUZZ_SECONDS, guided by coverage. The latter needs atheris, which PyPI has for Linux only.
FUZZ ?= 20
FUZZ_SECONDS ?= 600
fuzz: fuzz-parsers
fuzz: .venv/installed-test
	$(BIN)/python -m pytest -n auto -m hypothesis --full --examples $(FUZZ) --timeout 0 \
	    -o faulthandler_timeout=0

fuzz-parsers: .venv/installed-test
	$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/pip install --disable-pip-version-check atheris
	PYTHONPATH=tests nice -n 19 $(BIN)/python tests/fuzz_parsers.py $(FUZZ_SECONDS)

# For hours: what ends in the end, and what is left then.
soak: soak-sandbox soak-signals

# Random traffic to one sandbox, whose memory must not grow. MINUTES: 10 by default.
MINUTES ?= 10
soak-sandbox: .venv/installed-test
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)

# Session starts whose processes are killed at random; counts the sessions left. For about an hour.
STARTS ?= 10000
soak-signals: .venv/installed-test
	PYTHONPATH=tests nice -n 19 $(BIN)/python tests/soak_signals.py $(STARTS)

# MUTANTS: modules such as gate/decision/arn.py, all that are listed by default.
mutants: .venv/installed-test
	PYTHONPATH=tests $(BIN)/python -m mutants $(MUTANTS)

# Both on freshly installed Debian systems; needs root and debootstrap.
fresh:
	tests/fresh.sh

lint: .venv/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/installed-test
	PYTHONPATH=tests $(BIN)/python tests/as_ordinary_user.py bench

completions: .venv/installed-test
	$(BIN)/python tools/completions.py

# All files that are generated from the program: completions, reference, man pages, the diagram.
reference: completions
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/manpages.py
	$(BIN)/python tools/house.py > docs/house.svg
	$(BIN)/python tools/sandbox_operations.py

# Before a release: pins and hashes of the packages with which `make test` ran.
constraints: .venv/installed-test
	$(BIN)/python -c 'import uv' 2>/dev/null || $(BIN)/pip install --disable-pip-version-check uv
	$(BIN)/python tools/constraints.py
	$(BIN)/python tools/licenses.py

# What a release consists of, in dist: sdist, wheel, and the bill of materials.
packages: .venv/installed-test
	rm -rf dist
	$(BIN)/python -m hatchling build -d dist
	$(BIN)/python tools/sbom.py dist

# Packages for Debian 12 and 13 in dist, or for DEBIAN=12. Needs Python 3.11 and 3.13, and dpkg-deb.
deb: .venv/installed-test
	$(BIN)/python tools/deb.py $(DEBIAN)

# Checks what a release needs, and prints what remains to be done. CHECKS: names, or --list.
release: .venv/installed-test
	$(BIN)/python tools/release.py $(VERSION) $(CHECKS)

# After a new awscli: what a start needs of its models.
models: .venv/installed-test
	$(BIN)/ssmgate models build

# Tries a release of awscli in an environment of its own, and prints what it changes.
VERSION ?= $(error VERSION is missing, as in: make awscli VERSION=1.46.4)
awscli: .venv/installed-test
	$(BIN)/python tools/try_awscli.py $(VERSION)

# After a change of the sandbox's operations, or a new release of moto.
sandbox-operations: .venv/installed-test
	$(BIN)/python tools/sandbox_operations.py

format: .venv/installed-test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv dist

# The tests need all that the demo needs.
.venv/installed-test: pyproject.toml
	$(call install,test,what the tests and the demo need)
	@touch .venv/installed-demo $@

.venv/installed-demo: pyproject.toml
	$(call install,sandbox,the sandbox)
	@touch $@

define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv
	@echo 'Installing ssmgate with $(2) into .venv; once, a minute or more …'
	$(BIN)/pip install --disable-pip-version-check -e '.[$(1)]'
endef
