# make demo    trains on the built-in benchmark and writes runs/demo/report.html
# make test    lints and runs the tests
# make env     only makes the environment .venv
# make clean   removes the environments and the build outputs
#
# Each makes .venv from nothing the first time and uses it again afterwards; it is
# brought up to date when setup.py or pyproject.toml changes. Pick another interpreter
# with `make PYTHON=/path/to/python3.12 VENV=.venv-3.12 test`.
#
# make test-long     runs those that `make test` has no time for
# make test-lowest   runs the tests in .venv-lowest, where each dependency has the
#                    lowest version that setup.py allows
# make test-io       runs the tests of layers, models, data, training and programs in
#                    .venv-io, with TensorFlow 2.16 and the file systems of
#                    tensorflow-io; needs Python 3.11 or 3.12
# make benchmarks    installs the peers into .venv-benchmarks, times everything beside
#                    them and writes the tables into BUILD_NOTES.md; takes two hours

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=

TORCH := torch==2.13.0
DEMO_ARGUMENTS ?=
PYTEST_ARGUMENTS ?=
# Each takes up to 4 GB.
TEST_PROCESSES ?= 2
CONSTRAINTS ?=
# What is imported is compiled then, and once: all of TensorFlow and PyTorch takes
# minutes, and TensorFlow in every process twelve seconds.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
  $(addprefix --constraint ,$(CONSTRAINTS))

BENCHMARKS ?= all --write
IO_TESTS ?= tests/layers tests/models tests/data tests/training tests/cli

.PHONY: demo test test-long test-lowest test-io benchmarks env clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/dynamonet demo $(DEMO_ARGUMENTS)

# In the order of the files: by their number of tests, those with few and long ones would
# come last and leave one process to itself.
test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -m 'not long' --numprocesses $(TEST_PROCESSES) --dist loadfile \
	  --no-loadscope-reorder --durations=15 $(PYTEST_ARGUMENTS)

test-long: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m long --numprocesses $(TEST_PROCESSES) --dist loadfile \
	  $(PYTEST_ARGUMENTS)

test-lowest:
	$(MAKE) test VENV=.venv-lowest CONSTRAINTS=.venv-lowest/lowest.txt

# TensorFlow 2.16 is older than setup.py allows: the package is installed without its
# dependencies, beside those of the file.
test-io: .venv-io/.installed-io
	.venv-io/bin/python -m pytest --durations=15 $(IO_TESTS) $(PYTEST_ARGUMENTS)

benchmarks: .venv-benchmarks/.installed-benchmarks
	.venv-benchmarks/bin/python -m benchmarks $(BENCHMARKS)

.venv-benchmarks/.installed-benchmarks: setup.py benchmarks/requirements.txt
	$(MAKE) VENV=.venv-benchmarks .venv-benchmarks/bin/python
	.venv-benchmarks/bin/python -m pip install --quiet --disable-pip-version-check \
	  --editable '.[onnx,tflite]' --requirement benchmarks/requirements.txt
	@touch $@

.venv-io/.installed-io: tests/io_requirements.txt
	$(MAKE) VENV=.venv-io .venv-io/bin/python
	.venv-io/bin/python -m pip install --quiet --disable-pip-version-check \
	  --requirement tests/io_requirements.txt
	.venv-io/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --editable .
	@touch $@

env: $(VENV)/.installed

clean:
	rm -rf $(VENV) .venv-lowest .venv-io .venv-benchmarks build dist *.egg-info .pytest_cache .ruff_cache

# The first Python from 3.11 to 3.13 that can make environments: TensorFlow has no
# wheels for others.
$(BIN)/python:
	@set -e; \
	usable='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; \
	for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	  if "$$python" -c "$$usable" 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "make: no Python 3.11, 3.12 or 3.13 with venv found" \
	    "(tried: $(or $(PYTHON),python3 python3.13 python3.12 python3.11))." \
	    "Install one, on Debian: apt install python3 python3-venv," \
	    "or name it: make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version), $$(command -v "$$found")"; \
	"$$found" -m venv $(VENV)
	@# The pip that comes with an old Python takes for ever over some test packages.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.3'

$(VENV)/.installed: setup.py pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/lowest.txt: setup.py tests/lowest_versions.py | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --editable .
	$(BIN)/python tests/lowest_versions.py > $@

# A CPU build of PyTorch adds the tests on that backend. Where pip would take the CUDA
# build instead, which is gigabytes, those tests are left out.
$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP_INSTALL) --editable '.[test]'
	@if $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  echo "PyTorch is installed: its tests run"; \
	elif $(PIP_INSTALL) --dry-run --no-deps --report - $(TORCH) 2>/dev/null \
	    | grep -q '"version": "[^"]*+cpu"'; then \
	  $(PIP_INSTALL) $(TORCH); \
	else \
	  echo "No CPU build of $(TORCH) found: the tests on PyTorch will be skipped"; \
	fi
	@touch $@
